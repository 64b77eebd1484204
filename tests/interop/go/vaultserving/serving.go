// Package vaultserving is the main function of plugins on the Vault SDK: alone, or many mounts in one process on request.
package vaultserving

import (
	"flag"
	"os"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

// Main reads -multiplex and whatever flags the caller has defined, and serves what the factory makes once they are read.
func Main(factory func() logical.Factory) {
	multiplex := flag.Bool("multiplex", false, "serve many mounts with one process")
	flag.Parse()

	serve := plugin.Serve
	if *multiplex {
		serve = plugin.ServeMultiplex
	}
	if err := serve(&plugin.ServeOpts{BackendFactoryFunc: factory()}); err != nil {
		os.Exit(1)
	}
}
