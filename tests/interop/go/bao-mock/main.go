// The mock plugin of the OpenBao SDK, unchanged, as its own tests build it.
//
// Usage: bao-mock [-multiplex] [-auth]
package main

import (
	"flag"
	"os"

	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
	"github.com/openbao/openbao/sdk/v2/plugin/mock"
)

func main() {
	multiplex := flag.Bool("multiplex", false, "serve many mounts with one process")
	auth := flag.Bool("auth", false, "be an auth plugin")
	flag.Parse()

	kind := logical.TypeLogical
	if *auth {
		kind = logical.TypeCredential
	}
	serve := plugin.Serve
	if *multiplex {
		serve = plugin.ServeMultiplex
	}
	if err := serve(&plugin.ServeOpts{BackendFactoryFunc: mock.FactoryType(kind)}); err != nil {
		os.Exit(1)
	}
}
