// Vault's core behind its own HTTP handlers, over its store in memory: what `vault server -dev` serves, without the
// engines, stores and seals that its command links in, which would take half an hour to build.
//
// Version 1.14.0 is of the last that were free (MPL 2.0), and those from which OpenBao was made.
//
// Usage: vault-core -listen ADDRESS -plugins DIRECTORY -token ID
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	plugins := flag.String("plugins", "", "the plugin directory")
	token := flag.String("token", "", "the name of a root token to make")
	flag.Parse()
	core, root, err := start(*plugins)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := makeToken("http://"+listener.Addr().String(), root, *token); err != nil {
			log.Fatal(err)
		}
	}()
	properties := &vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}}
	log.Fatal(http.Serve(listener, vaulthttp.Handler.Handler(properties)))
}

// start makes a core with nothing in it, unsealed, and its first root token.
func start(plugins string) (*vault.Core, string, error) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr})
	store, err := inmem.NewTransactionalInmem(nil, logger)
	if err != nil {
		return nil, "", err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        store,
		Logger:          logger,
		DisableMlock:    true,
		PluginDirectory: plugins,
		BuiltinRegistry: nothing{},
	})
	if err != nil {
		return nil, "", err
	}
	made, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{},
	})
	if err != nil {
		return nil, "", err
	}
	for _, share := range made.SecretShares {
		if _, err := core.Unseal(share); err != nil {
			return nil, "", err
		}
	}
	return core, made.RootToken, nil
}

// makeToken makes a root token of that name, as a dev server does.
func makeToken(address, root, name string) error {
	body, err := json.Marshal(map[string]any{"id": name, "policies": []string{"root"}})
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, address+"/v1/auth/token/create", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Vault-Token", root)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("no token was made: %s", answer.Status)
	}
	return nil
}

// nothing is linked in.
type nothing struct{}

func (nothing) Contains(string, consts.PluginType) bool { return false }

func (nothing) Get(string, consts.PluginType) (func() (interface{}, error), bool) {
	return nil, false
}

func (nothing) Keys(consts.PluginType) []string { return nil }

func (nothing) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}
