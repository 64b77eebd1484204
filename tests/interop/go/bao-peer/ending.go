package main

import (
	"context"
	"os"
	"strconv"
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
		at("starts", nil, b.starts),
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

// startsKey is where the starts of a mount are counted.
const startsKey = "starts"

func (b *backend) starts(ctx context.Context, request *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	starts, err := countedStarts(ctx, request.Storage)
	if err != nil {
		return nil, err
	}
	return data(map[string]interface{}{"starts": starts})
}

func countStart(ctx context.Context, request *logical.InitializationRequest) error {
	starts, err := countedStarts(ctx, request.Storage)
	if err != nil {
		return err
	}
	value := strconv.Itoa(starts + 1)
	return request.Storage.Put(ctx, &logical.StorageEntry{Key: startsKey, Value: []byte(value)})
}

func countedStarts(ctx context.Context, storage logical.Storage) (int, error) {
	entry, err := storage.Get(ctx, startsKey)
	if err != nil || entry == nil {
		return 0, err
	}
	return strconv.Atoi(string(entry.Value))
}
