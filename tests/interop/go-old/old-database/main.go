// A database plugin of 2021: Vault's SDK 0.2 on go-plugin 1.0, which has mutual TLS and no service for what is printed.
//
// A configuration with "print" has it print that text, on standard output and standard error.
//
// Usage: old-database
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/vault/sdk/database/dbplugin/v5"
)

const name = "old-database"

type database struct{}

func (database) Initialize(_ context.Context, request dbplugin.InitializeRequest) (dbplugin.InitializeResponse, error) {
	if text, asked := request.Config["print"]; asked {
		fmt.Fprintln(os.Stdout, text, "on stdout")
		fmt.Fprintln(os.Stderr, text, "on stderr")
	}
	return dbplugin.InitializeResponse{Config: request.Config}, nil
}

func (database) NewUser(_ context.Context, request dbplugin.NewUserRequest) (dbplugin.NewUserResponse, error) {
	return dbplugin.NewUserResponse{Username: "v-" + request.UsernameConfig.DisplayName}, nil
}

func (database) UpdateUser(context.Context, dbplugin.UpdateUserRequest) (dbplugin.UpdateUserResponse, error) {
	return dbplugin.UpdateUserResponse{}, nil
}

func (database) DeleteUser(context.Context, dbplugin.DeleteUserRequest) (dbplugin.DeleteUserResponse, error) {
	return dbplugin.DeleteUserResponse{}, nil
}

func (database) Type() (string, error) {
	return name, nil
}

func (database) Close() error {
	return nil
}

func main() {
	dbplugin.Serve(database{})
}
