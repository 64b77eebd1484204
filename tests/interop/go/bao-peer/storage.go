package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/physical"
)

var errOnPurpose = errors.New("failed on purpose")

func (b *backend) storagePaths() []*framework.Path {
	return []*framework.Path{
		at("store/"+framework.GenericNameRegex("key"), map[string]*framework.FieldSchema{
			"key":   {Type: framework.TypeString},
			"bytes": {Type: framework.TypeInt, Description: "How large the stored value is."},
		}, b.store),
		at("page", map[string]*framework.FieldSchema{
			"after": {Type: framework.TypeString},
			"limit": {Type: framework.TypeInt},
		}, b.page),
		at("transfer", map[string]*framework.FieldSchema{
			"keys": {Type: framework.TypeCommaStringSlice},
			"end":  {Type: framework.TypeString, Description: "commit, rollback or fail."},
		}, b.transfer),
		at("race", nil, b.race),
		at("snapshot", nil, b.snapshot),
	}
}

// store writes a value of some size and reads it back; without a size it only reads.
func (b *backend) store(ctx context.Context, request *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	key := "store/" + fields.Get("key").(string)
	if size, stated := fields.GetOk("bytes"); stated {
		value := strings.Repeat("x", size.(int))
		if err := request.Storage.Put(ctx, &logical.StorageEntry{Key: key, Value: []byte(value)}); err != nil {
			return nil, err
		}
	}
	entry, err := request.Storage.Get(ctx, key)
	if err != nil || entry == nil {
		return nil, err
	}
	return data(map[string]interface{}{"value": string(entry.Value)})
}

func (b *backend) page(ctx context.Context, request *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	keys, err := request.Storage.ListPage(ctx, "store/", fields.Get("after").(string), fields.Get("limit").(int))
	if err != nil {
		return nil, err
	}
	return data(map[string]interface{}{"page": keys})
}

// transfer writes keys in one transaction, sees them inside and not outside, and ends it as it is told.
func (b *backend) transfer(ctx context.Context, request *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	storage, transactional := request.Storage.(logical.TransactionalStorage)
	if !transactional {
		return data(map[string]interface{}{"transactional": false})
	}
	transaction, err := storage.BeginTx(ctx)
	if err != nil {
		return nil, err
	}
	keys := fields.Get("keys").([]string)
	for _, key := range keys {
		entry := &logical.StorageEntry{Key: "store/" + key, Value: []byte("transferred")}
		if err := transaction.Put(ctx, entry); err != nil {
			return nil, err
		}
	}
	inside, err := transaction.List(ctx, "store/")
	if err != nil {
		return nil, err
	}
	outside, err := request.Storage.List(ctx, "store/")
	if err != nil {
		return nil, err
	}
	switch fields.Get("end").(string) {
	case "commit":
		err = transaction.Commit(ctx)
	case "rollback":
		err = transaction.Rollback(ctx)
	default:
		// Left open: the request fails, and the host rolls it back.
		err = errOnPurpose
	}
	if err != nil {
		return nil, err
	}
	return data(map[string]interface{}{"transactional": true, "inside": inside, "outside": outside})
}

// race makes two transactions read and write the same key; the second commit has to fail.
func (b *backend) race(ctx context.Context, request *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	storage, transactional := request.Storage.(logical.TransactionalStorage)
	if !transactional {
		return nil, errors.New("no transactions")
	}
	var open []logical.Transaction
	for i := 0; i < 2; i++ {
		transaction, err := storage.BeginTx(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := transaction.Get(ctx, "race"); err != nil {
			return nil, err
		}
		entry := &logical.StorageEntry{Key: "race", Value: []byte(fmt.Sprint(i))}
		if err := transaction.Put(ctx, entry); err != nil {
			return nil, err
		}
		open = append(open, transaction)
	}
	first, second := open[0].Commit(ctx), open[1].Commit(ctx)
	return data(map[string]interface{}{
		"first":    first == nil,
		"conflict": second != nil && strings.Contains(second.Error(), physical.ErrTransactionCommitFailure.Error()),
	})
}
