// A database plugin on the Vault SDK whose users are in memory: see accounts for what it does.
//
// Usage: vault-database [-multiplex]
package main

import (
	"context"
	"flag"

	"github.com/hashicorp/vault/sdk/database/dbplugin/v5"

	"palisade.example/interop/accounts"
)

// database puts the SDK's types around accounts, which has Type and Close already.
type database struct {
	*accounts.Accounts
}

func (d database) Initialize(_ context.Context, request dbplugin.InitializeRequest) (dbplugin.InitializeResponse, error) {
	err := d.Connect(request.Config, request.VerifyConnection)
	return dbplugin.InitializeResponse{Config: request.Config}, err
}

func (d database) NewUser(_ context.Context, request dbplugin.NewUserRequest) (dbplugin.NewUserResponse, error) {
	return dbplugin.NewUserResponse{Username: d.Add(request.UsernameConfig.DisplayName)}, nil
}

func (d database) UpdateUser(_ context.Context, request dbplugin.UpdateUserRequest) (dbplugin.UpdateUserResponse, error) {
	return dbplugin.UpdateUserResponse{}, d.Check(request.Username)
}

func (d database) DeleteUser(_ context.Context, request dbplugin.DeleteUserRequest) (dbplugin.DeleteUserResponse, error) {
	return dbplugin.DeleteUserResponse{}, d.Remove(request.Username)
}

func open() dbplugin.Database {
	return database{accounts.New("vault-database")}
}

func main() {
	multiplex := flag.Bool("multiplex", false, "serve many connections with one process")
	flag.Parse()

	if *multiplex {
		dbplugin.ServeMultiplex(func() (interface{}, error) { return open(), nil })
	} else {
		dbplugin.Serve(open())
	}
}
