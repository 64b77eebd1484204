// The mock plugin of the OpenBao SDK, which starts processes that outlive it, and which may refuse to end itself.
//
// With FAMILY_STUBBORN=1 in its environment it ignores SIGTERM, SIGHUP and SIGINT, answers the host's call to shut down
// and goes on serving: only SIGKILL ends it.
//
// Usage: family
package main

import (
	"context"
	"flag"
	"os"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin/mock"

	"palisade.example/interop/serving"
)

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	b := mock.Backend()
	b.Paths = append(b.Paths, &framework.Path{
		Pattern: "spawn",
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{Callback: spawn},
		},
	})
	if err := b.Setup(ctx, config); err != nil {
		return nil, err
	}
	return b, nil
}

func main() {
	starter := flag.String("starter", "", "start a sleeper with this file and end; the plugin does this by itself")
	sleeper := flag.String("sleeper", "", "sleep, and leave the pid in this file; the starter does this by itself")
	flag.Parse()

	switch {
	case *starter != "":
		start(*starter)
	case *sleeper != "":
		sleep(*sleeper)
	case os.Getenv("FAMILY_STUBBORN") == "1":
		serveStubbornly(serving.Config(5, factory, nil))
	default:
		goplugin.Serve(serving.Config(5, factory, nil))
	}
}
