// A secrets plugin on the OpenBao SDK for what the SDK's mock does not do: leases, transactions, large values, the
// system view, slow answers and sudden ends.
//
// Usage: bao-peer [-multiplex]
package main

import (
	"context"
	"flag"
	"os"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
)

type backend struct {
	*framework.Backend
}

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	b := &backend{}
	b.Backend = &framework.Backend{
		Help:           "Does what a test asks.",
		BackendType:    logical.TypeLogical,
		RunningVersion: "v1.2.3",
		InitializeFunc: countStart,
		PathsSpecial: &logical.Paths{
			Root:            []string{"root/*"},
			Unauthenticated: []string{"open"},
			SealWrapStorage: []string{"store/"},
		},
		Secrets: []*framework.Secret{b.secret()},
		Paths: framework.PathAppend(
			b.storagePaths(),
			b.leasePaths(),
			b.systemPaths(),
			b.endingPaths(),
		),
	}
	if err := b.Setup(ctx, config); err != nil {
		return nil, err
	}
	return b, nil
}

func main() {
	multiplex := flag.Bool("multiplex", false, "serve many mounts with one process")
	flag.Parse()

	serve := plugin.Serve
	if *multiplex {
		serve = plugin.ServeMultiplex
	}
	if err := serve(&plugin.ServeOpts{BackendFactoryFunc: factory}); err != nil {
		os.Exit(1)
	}
}

// answer is a handler that needs nothing but the request and its fields.
type answer = func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error)

// at is a path with one handler for reading and, with the same fields in the body, for writing.
func at(pattern string, fields map[string]*framework.FieldSchema, handler answer) *framework.Path {
	operation := &framework.PathOperation{Callback: handler}
	return &framework.Path{
		Pattern: pattern,
		Fields:  fields,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation:   operation,
			logical.UpdateOperation: operation,
		},
	}
}

func data(values map[string]interface{}) (*logical.Response, error) {
	return &logical.Response{Data: values}, nil
}
