package main

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-secure-stdlib/base62"
	"github.com/openbao/openbao/sdk/v2/helper/pluginutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// client is one mount's use of a process, and here the only one.
type client struct {
	goplugin.ClientProtocol
	process *goplugin.Client
	conn    labelled
}

func newClient(process *goplugin.Client, protocol goplugin.ClientProtocol, conn *grpc.ClientConn) (*client, error) {
	id, err := base62.Random(10)
	if err != nil {
		return nil, err
	}
	return &client{ClientProtocol: protocol, process: process, conn: labelled{conn, id}}, nil
}

func (c *client) Conn() grpc.ClientConnInterface {
	return c.conn
}

func (c *client) Close() error {
	c.process.Kill()
	return nil
}

func (c *client) Reload() error {
	return c.Close()
}

// labelled is a connection on which every call tells the mount that it is for.
type labelled struct {
	*grpc.ClientConn
	id string
}

func (l labelled) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	return l.ClientConn.Invoke(l.label(ctx), method, args, reply, options...)
}

func (l labelled) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.ClientConn.NewStream(l.label(ctx), desc, method, options...)
}

func (l labelled) label(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, pluginutil.MultiplexingCtxKey, l.id)
}
