// Package serving does what plugin.Serve of the OpenBao SDK does, for the plugins that cannot leave it all to the SDK: it
// offers one version of the protocol where the SDK offers 3, 4 and 5, and what it gives can be changed before it is served.
package serving

import (
	"crypto/tls"
	"math"
	"os"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
	"google.golang.org/grpc"
)

// Config is for a backend at one version of the protocol. Without an own provider of TLS it is up to the host.
func Config(version int, factory logical.Factory, provider func() (*tls.Config, error)) *goplugin.ServeConfig {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true})
	backend := &plugin.GRPCBackendPlugin{Factory: factory, Logger: logger}
	return &goplugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig,
		VersionedPlugins: map[int]goplugin.PluginSet{version: {plugin.BackendPluginName: backend}},
		TLSProvider:      provider,
		Logger:           logger,
		GRPCServer:       server,
	}
}

// server takes and sends messages of any size, as the SDK's own.
func server(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32))...)
}
