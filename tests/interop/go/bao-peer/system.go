package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

func (b *backend) systemPaths() []*framework.Path {
	return []*framework.Path{
		at("system", map[string]*framework.FieldSchema{
			"entity": {Type: framework.TypeString, Description: "Whose identity is asked for; else the caller's."},
		}, b.system),
		at("environment", nil, b.environment),
		at("log", map[string]*framework.FieldSchema{"text": {Type: framework.TypeString}}, b.log),
		at("print", map[string]*framework.FieldSchema{"text": {Type: framework.TypeString}}, b.print),
		at("password", map[string]*framework.FieldSchema{"policy": {Type: framework.TypeString}}, b.password),
	}
}

// system asks the host everything that the SDK can ask over gRPC: DefaultLeaseTTL, MaxLeaseTTL, Tainted, CachingDisabled,
// ReplicationState, MlockEnabled, LocalMount, PluginEnv (which VaultVersion is, too), and, in questions, ClusterInfo,
// EntityInfo, GroupsForEntity and ResponseWrapData. GeneratePasswordFromPolicy is at the path "password". The other
// methods of a SystemView fail within the SDK.
func (b *backend) system(ctx context.Context, request *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	view := b.System()
	environment, err := view.PluginEnv(ctx)
	if err != nil {
		return nil, err
	}
	entity, stated := fields.GetOk("entity")
	if !stated {
		entity = request.EntityID
	}
	answers, refusals := ask(questions(ctx, view, entity.(string)))
	return data(map[string]interface{}{
		"default_lease_ttl": int64(view.DefaultLeaseTTL().Seconds()),
		"max_lease_ttl":     int64(view.MaxLeaseTTL().Seconds()),
		"tainted":           view.Tainted(),
		"caching_disabled":  view.CachingDisabled(),
		"replication_state": int(view.ReplicationState()),
		"mlock_enabled":     view.MlockEnabled(),
		"local_mount":       view.LocalMount(),
		"version":           environment.VaultVersion,
		"answers":           answers,
		"refusals":          refusals,
	})
}

// environment gives the names of the process's variables: their values are secret.
func (b *backend) environment(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	var names []string
	for _, line := range os.Environ() {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	return data(map[string]interface{}{"names": names})
}

func (b *backend) log(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	b.Logger().Warn("the peer speaks", "text", fields.Get("text"))
	return nil, nil
}

// print says it where programs do, which go-plugin carries to the host.
func (b *backend) print(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	text := fields.Get("text")
	fmt.Fprintln(os.Stdout, text, "on stdout")
	fmt.Fprintln(os.Stderr, text, "on stderr")
	return nil, nil
}

func (b *backend) password(ctx context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	password, err := b.System().GeneratePasswordFromPolicy(ctx, fields.Get("policy").(string))
	if err != nil {
		return nil, err
	}
	return data(map[string]interface{}{"length": len(password)})
}
