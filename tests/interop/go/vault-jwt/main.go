// Vault's own JWT login, unchanged, as its own command serves it; alone on request.
//
// Usage: vault-jwt [-multiplex]
package main

import (
	"flag"
	"os"

	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	multiplex := flag.Bool("multiplex", false, "serve many mounts with one process")
	flag.Parse()

	serve := plugin.Serve
	if *multiplex {
		serve = plugin.ServeMultiplex
	}
	if err := serve(&plugin.ServeOpts{BackendFactoryFunc: jwt.Factory}); err != nil {
		os.Exit(1)
	}
}
