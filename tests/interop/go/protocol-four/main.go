// The mock plugin of the OpenBao SDK as an old plugin: it speaks version 4 of the protocol and no other.
//
// Its TLS is the old one. In metadata mode there is none; otherwise the certificate and the key are behind the token in
// BAO_UNWRAP_TOKEN or VAULT_UNWRAP_TOKEN, and the host's HTTP interface is asked for them. The flags are those that old
// plugins have for that request.
//
// With -before-automtls it is older still: it does not know that a host may want mutual TLS without a token, so that in a
// full launch without one it ends before its handshake.
//
// Usage: protocol-four [-before-automtls] [-ca-cert FILE] [-ca-path FOLDER] [-client-cert FILE] [-client-key FILE]
// [-tls-skip-verify]
package main

import (
	"os"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/api/v2"
	"github.com/openbao/openbao/sdk/v2/plugin/mock"

	"palisade.example/interop/serving"
)

func main() {
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet()
	old := flags.Bool("before-automtls", false, "do not know mutual TLS without a token")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(1)
	}
	if *old {
		os.Unsetenv("BAO_PLUGIN_AUTOMTLS_ENABLED")
		os.Unsetenv("VAULT_PLUGIN_AUTOMTLS_ENABLED")
	}
	provider := api.VaultPluginTLSProvider(meta.GetTLSConfig())
	goplugin.Serve(serving.Config(4, mock.Factory, provider))
}
