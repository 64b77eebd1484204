// A plugin that is right in all but one way, which its argument names. Without a flaw it starts, answers every request with
// nothing, and ends when it is asked to. It speaks HTTP/2 frame by frame, because no library would go wrong like this.
//
// The flaws are those of before (see secure.go), and those of a request that is under way (see abuse.go). Each of the
// latter lasts until the process ends.
//
// Usage: crooked [flaw]
package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// The folder for sockets that the host names.
const folderVariable = "PLUGIN_UNIX_SOCKET_DIR"

func main() {
	flaw := ""
	if len(os.Args) > 1 {
		flaw = os.Args[1]
	}
	if err := serve(flaw); err != nil {
		fmt.Fprintln(os.Stderr, "crooked:", err)
		os.Exit(1)
	}
}

// serve says where it listens and talks to whoever connects.
func serve(flaw string) error {
	secure, certificate, err := secured(flaw)
	if err != nil {
		return err
	}
	path := filepath.Join(os.Getenv(folderVariable), "crooked")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	field := base64.RawStdEncoding.EncodeToString(certificate)
	fmt.Printf("1|5|unix|%s|grpc|%s\n", path, field)
	for {
		stream, err := listener.Accept()
		if err != nil {
			return err
		}
		go talk(secure(stream), flaw)
	}
}

// talk ends with the connection, which need not be the end of the process.
func talk(stream net.Conn, flaw string) {
	defer stream.Close()
	if err := newConversation(stream, flaw).run(); err != nil {
		fmt.Fprintln(os.Stderr, "crooked:", err)
	}
}
