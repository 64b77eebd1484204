// A secrets plugin on the Vault SDK for what OpenBao's does not have: events and observations, with what became of them.
//
// Usage: vault-peer [-multiplex]
package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"palisade.example/interop/vaultserving"
)

type backend struct {
	*framework.Backend
}

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	b := &backend{}
	b.Backend = &framework.Backend{
		Help:        "Tells the host what happens.",
		BackendType: logical.TypeLogical,
		Paths: []*framework.Path{
			b.path("event", func(ctx context.Context) error {
				return logical.SendEvent(ctx, b, "test/happened", "path", "a/b")
			}),
			b.path("observation", func(ctx context.Context) error {
				return b.RecordObservation(ctx, "test/seen", map[string]interface{}{"count": 1})
			}),
		},
	}
	if err := b.Setup(ctx, config); err != nil {
		return nil, err
	}
	return b, nil
}

// path tells the host by a write, and answers with the error that came of it.
func (b *backend) path(pattern string, tell func(context.Context) error) *framework.Path {
	write := func(ctx context.Context, _ *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
		became := ""
		if err := tell(ctx); err != nil {
			became = err.Error()
		}
		return &logical.Response{Data: map[string]interface{}{"error": became}}, nil
	}
	return &framework.Path{
		Pattern:    pattern,
		Operations: map[logical.Operation]framework.OperationHandler{logical.UpdateOperation: &framework.PathOperation{Callback: write}},
	}
}

func main() {
	vaultserving.Main(func() logical.Factory { return factory })
}
