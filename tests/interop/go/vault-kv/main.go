// Vault's own key-value engine, unchanged, as its own command serves it; alone on request.
//
// Usage: vault-kv [-multiplex]
package main

import (
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/sdk/logical"

	"palisade.example/interop/vaultserving"
)

func main() {
	vaultserving.Main(func() logical.Factory { return kv.Factory })
}
