// Vault's own JWT login, unchanged, as its own command serves it; alone on request.
//
// Usage: vault-jwt [-multiplex]
package main

import (
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	"github.com/hashicorp/vault/sdk/logical"

	"palisade.example/interop/vaultserving"
)

func main() {
	vaultserving.Main(func() logical.Factory { return jwt.Factory })
}
