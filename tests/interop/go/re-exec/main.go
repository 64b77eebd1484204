// The mock plugin of the OpenBao SDK, which first executes itself again through the path that it finds for itself, as
// wrappers do. The second time it has REEXECED=1 in its environment.
//
// Usage: re-exec [-multiplex]
package main

import (
	"flag"
	"fmt"
	"os"
	"syscall"

	"github.com/openbao/openbao/sdk/v2/plugin"
	"github.com/openbao/openbao/sdk/v2/plugin/mock"
)

const again = "REEXECED"

func main() {
	if _, done := os.LookupEnv(again); !done {
		fmt.Fprintln(os.Stderr, "re-exec:", execute())
		os.Exit(1)
	}
	multiplex := flag.Bool("multiplex", false, "serve many mounts with one process")
	flag.Parse()

	serve := plugin.Serve
	if *multiplex {
		serve = plugin.ServeMultiplex
	}
	if err := serve(&plugin.ServeOpts{BackendFactoryFunc: mock.Factory}); err != nil {
		os.Exit(1)
	}
}

// execute only returns when it fails.
func execute() error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if err := syscall.Exec(path, os.Args, append(os.Environ(), again+"=1")); err != nil {
		return fmt.Errorf("executing %s: %w", path, err)
	}
	return nil
}
