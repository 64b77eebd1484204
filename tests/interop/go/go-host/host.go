package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/sdk/v2/helper/consts"
	"github.com/openbao/openbao/sdk/v2/helper/pluginutil"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
)

// host is what a plugin client asks of OpenBao's core: the system view, the catalog with its one plugin, the processes.
type host struct {
	logical.StaticSystemView
	entry     *pluginutil.PluginRunner
	multiplex bool
	logger    hclog.Logger
	process   *goplugin.Client
}

func newHost(file string, multiplex bool, args []string) (*host, error) {
	command, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	bytes, err := os.ReadFile(command)
	if err != nil {
		return nil, err
	}
	if multiplex {
		args = append([]string{"-multiplex"}, args...)
	}
	sum := sha256.Sum256(bytes)
	return &host{
		StaticSystemView: logical.StaticSystemView{
			VersionString:     "2.6.0",
			PluginEnvironment: &logical.PluginEnvironment{VaultVersion: "2.6.0"},
		},
		entry:     &pluginutil.PluginRunner{Name: filepath.Base(file), Command: command, Args: args, Sha256: sum[:]},
		multiplex: multiplex,
		logger:    hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr}),
	}, nil
}

func (h *host) LookupPluginVersion(context.Context, string, consts.PluginType, string) (*pluginutil.PluginRunner, error) {
	return h.entry, nil
}

// NewPluginClient starts the process.
func (h *host) NewPluginClient(ctx context.Context, config pluginutil.PluginClientConfig) (pluginutil.PluginClient, error) {
	process, err := h.entry.RunConfig(ctx,
		pluginutil.Runner(config.Wrapper),
		pluginutil.PluginSets(config.PluginSets),
		pluginutil.HandshakeConfig(config.HandshakeConfig),
		pluginutil.Logger(config.Logger),
		pluginutil.AutoMTLS(config.AutoMTLS),
	)
	if err != nil {
		return nil, err
	}
	h.process = process
	protocol, err := process.Client()
	if err != nil {
		return nil, err
	}
	conn := protocol.(*goplugin.GRPCClient).Conn
	multiplex, err := pluginutil.MultiplexingSupported(ctx, conn, config.Name)
	if err != nil {
		return nil, err
	}
	if multiplex != h.multiplex {
		return nil, errors.New("the plugin multiplexes, or does not, against what -multiplex says")
	}
	return newClient(process, protocol, conn)
}

// open gives a backend that is ready for requests, and the storage that it has.
func (h *host) open(ctx context.Context) (logical.Backend, error) {
	storage := &logical.InmemStorage{}
	config := &logical.BackendConfig{
		StorageView: storage,
		Logger:      h.logger,
		System:      h,
		BackendUUID: "0b5f1c55-2f1e-4a39-8f0c-6f2f7f0f9a01",
	}
	backend, err := plugin.NewBackendV5(ctx, h.entry.Name, consts.PluginTypeSecrets, "", h, config)
	if err != nil {
		return nil, err
	}
	if err := backend.Setup(ctx, config); err != nil {
		return nil, err
	}
	return backend, backend.Initialize(ctx, &logical.InitializationRequest{Storage: storage})
}

// kill ends what an error has left running.
func (h *host) kill() {
	if h.process != nil {
		h.process.Kill()
	}
}
