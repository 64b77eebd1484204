package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// The process's own, which the host reads: serving puts others in their place.
var stdout, stderr = os.Stdout, os.Stderr

// spawn leaves a sleeper behind and tells its pid. The process in between ends at once, so that the sleeper is nobody's
// child here.
func spawn(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	folder, err := os.MkdirTemp("", "family")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "pid")
	if err := itself("-starter", file, nil); err != nil {
		return nil, fmt.Errorf("starting the starter: %w", err)
	}
	pid, err := awaitPid(file)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]interface{}{"pid": pid}}, nil
}

// start gives the sleeper a session, and with it a process group, of its own, and does not wait for it.
func start(file string) {
	if err := itself("-sleeper", file, &syscall.SysProcAttr{Setsid: true}); err != nil {
		fmt.Fprintln(stderr, "family: starting the sleeper:", err)
		os.Exit(1)
	}
}

// sleep tells its pid once no gentle signal ends it any more, and keeps standard output and error open for an hour.
func sleep(file string) {
	ignoreGentleSignals()
	pid := strconv.Itoa(os.Getpid())
	fmt.Fprintln(stdout, pid)
	// Renamed, so that nobody reads half of it.
	err := os.WriteFile(file+".part", []byte(pid), 0o600)
	if err == nil {
		err = os.Rename(file+".part", file)
	}
	if err != nil {
		fmt.Fprintln(stderr, "family: telling the pid:", err)
		os.Exit(1)
	}
	time.Sleep(time.Hour)
}

// itself runs this program again; one with attributes is detached, so it is not waited for. It is named by the link of the
// kernel, because a program that is run from memory has no path that could be opened.
func itself(role, file string, attributes *syscall.SysProcAttr) error {
	command := exec.Command("/proc/self/exe", role, file)
	command.Stdout, command.Stderr, command.SysProcAttr = stdout, stderr, attributes
	if attributes != nil {
		return command.Start()
	}
	return command.Run()
}

func awaitPid(file string) (int, error) {
	var err error
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var text []byte
		if text, err = os.ReadFile(file); err == nil {
			return strconv.Atoi(string(text))
		}
	}
	return 0, fmt.Errorf("the sleeper does not tell its pid: %w", err)
}

// ignoreGentleSignals ignores a closed pipe too: writing to one would end a Go program.
func ignoreGentleSignals() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
}
