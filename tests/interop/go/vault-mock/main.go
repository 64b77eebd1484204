// The mock plugin of the Vault SDK, unchanged, as its own tests build it.
//
// Usage: vault-mock [-multiplex] [-auth]
package main

import (
	"flag"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin/mock"

	"palisade.example/interop/vaultserving"
)

func main() {
	auth := flag.Bool("auth", false, "be an auth plugin")
	vaultserving.Main(func() logical.Factory {
		if *auth {
			return mock.FactoryType(logical.TypeCredential)
		}
		return mock.FactoryType(logical.TypeLogical)
	})
}
