package main

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

const shutdown = "/plugin.GRPCController/Shutdown"

// serveStubbornly never returns. The call to shut down stops at an interceptor: the SDK and go-plugin leave no other way.
func serveStubbornly(config *goplugin.ServeConfig) {
	ignoreGentleSignals()
	server := config.GRPCServer
	config.GRPCServer = func(options []grpc.ServerOption) *grpc.Server {
		return server(append(options, grpc.UnaryInterceptor(deaf)))
	}
	goplugin.Serve(config)
	select {}
}

// deaf answers the call to shut down and does nothing.
func deaf(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if info.FullMethod == shutdown {
		return &emptypb.Empty{}, nil
	}
	return handler(ctx, request)
}
