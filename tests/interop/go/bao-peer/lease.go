package main

import (
	"context"
	"time"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

const secretType = "credential"

// secret is what the framework renews and revokes.
func (b *backend) secret() *framework.Secret {
	return &framework.Secret{
		Type:   secretType,
		Fields: map[string]*framework.FieldSchema{"name": {Type: framework.TypeString}},
		Renew:  b.renew,
		Revoke: b.revoke,
	}
}

func (b *backend) leasePaths() []*framework.Path {
	return []*framework.Path{
		at("creds/"+framework.GenericNameRegex("name"), map[string]*framework.FieldSchema{
			"name": {Type: framework.TypeString},
		}, b.creds),
	}
}

func (b *backend) creds(_ context.Context, _ *logical.Request, fields *framework.FieldData) (*logical.Response, error) {
	name := fields.Get("name").(string)
	response := b.Secret(secretType).Response(
		map[string]interface{}{"name": name},
		map[string]interface{}{"name": name, "number": 12345678901234567},
	)
	response.Secret.TTL = 90 * time.Second
	response.Secret.MaxTTL = time.Hour
	return response, nil
}

func (b *backend) renew(_ context.Context, request *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	request.Secret.TTL += time.Minute
	return &logical.Response{Secret: request.Secret}, nil
}

// revoke leaves a trace in storage.
func (b *backend) revoke(ctx context.Context, request *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	name, _ := request.Secret.InternalData["name"].(string)
	entry := &logical.StorageEntry{Key: "store/revoked-" + name, Value: []byte("yes")}
	return nil, request.Storage.Put(ctx, entry)
}
