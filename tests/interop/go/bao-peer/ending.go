package main

import (
	"context"
	"os"
	"time"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

func (b *backend) endingPaths() []*framework.Path {
	milliseconds := map[string]*framework.FieldSchema{"ms": {Type: framework.TypeInt}}
	return []*framework.Path{
		at("slow", milliseconds, b.slow),
		at("panic", nil, b.panic),
		at("exit", nil, b.exit),
		at("pid", nil, b.pid),
	}
}

// slow waits, unless the host gives up first.
func (b *backend) slow(ctx context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(fields.Get("ms").(int)) * time.Millisecond):
		return data(map[string]interface{}{"waited": true})
	}
}

func (b *backend) panic(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	panic("the peer panics on purpose")
}

func (b *backend) exit(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	os.Exit(3)
	return nil, nil
}

func (b *backend) pid(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return data(map[string]interface{}{"pid": os.Getpid()})
}
