// The mock plugin of the Vault SDK, unchanged, as its own tests build it.
//
// Usage: vault-mock [-multiplex] [-auth]
package main

import (
	"flag"
	"os"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
	"github.com/hashicorp/vault/sdk/plugin/mock"
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
