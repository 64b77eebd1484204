// Vault's own key-value engine, unchanged, as its own command serves it; alone on request.
//
// Usage: vault-kv [-multiplex]
package main

import (
	"flag"
	"os"

	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	multiplex := flag.Bool("multiplex", false, "serve many mounts with one process")
	flag.Parse()

	serve := plugin.Serve
	if *multiplex {
		serve = plugin.ServeMultiplex
	}
	if err := serve(&plugin.ServeOpts{BackendFactoryFunc: kv.Factory}); err != nil {
		os.Exit(1)
	}
}
