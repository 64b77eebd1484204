package main

import (
	"context"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// snapshot reads in a transaction that is for reading only, in which a write has to fail; it tells both failures.
func (b *backend) snapshot(ctx context.Context, request *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	storage, transactional := request.Storage.(logical.TransactionalStorage)
	if !transactional {
		return data(map[string]interface{}{"transactional": false})
	}
	transaction, err := storage.BeginReadOnlyTx(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := transaction.ListPage(ctx, "store/", "", -1)
	if err != nil {
		return nil, err
	}
	put := transaction.Put(ctx, &logical.StorageEntry{Key: "store/snapshot", Value: []byte("never")})
	deletion := transaction.Delete(ctx, "store/snapshot")
	if err := transaction.Rollback(ctx); err != nil {
		return nil, err
	}
	return data(map[string]interface{}{
		"transactional": true,
		"keys":          keys,
		"put":           text(put),
		"delete":        text(deletion),
	})
}

// text is empty for no error.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
