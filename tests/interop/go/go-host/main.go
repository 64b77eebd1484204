// The real host in Go, to compare with: it runs a backend plugin with the plugin client of the OpenBao SDK, as OpenBao
// does, and measures how long a launch and a call take. On standard output there is one JSON object and nothing else:
//
//	{"launch_us":{"p50":1.0,"p99":1.0},"call_us":{"p50":1.0,"p99":1.0},"calls_per_second":1.0}
//
// A part that is not measured is null. Words after the flags are the plugin's own arguments.
//
// Usage: go-host -plugin FILE [-multiplex] [-launches N] [-calls N] [-parallel C] [-path P] [WORD...]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
)

type result struct {
	Launch *spread `json:"launch_us"`
	Call   *spread `json:"call_us"`
	Rate   float64 `json:"calls_per_second"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "go-host:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	file := flag.String("plugin", "", "the executable")
	multiplex := flag.Bool("multiplex", false, "start it with -multiplex, and insist that it says so")
	launches := flag.Int("launches", 20, "how many launches to measure")
	calls := flag.Int("calls", 10000, "how many calls to measure")
	parallel := flag.Int("parallel", 1, "how many calls to make at a time")
	path := flag.String("path", "special", "the path that is read")
	flag.Parse()
	if *parallel < 1 {
		return errors.New("-parallel is less than 1")
	}

	h, err := newHost(*file, *multiplex, flag.Args())
	if err != nil {
		return err
	}
	defer h.kill()
	var measured result
	if *launches > 0 {
		if measured.Launch, err = h.measureLaunches(ctx, *launches, *path); err != nil {
			return err
		}
	}
	if *calls > 0 {
		if measured.Call, measured.Rate, err = h.measureCalls(ctx, *calls, *parallel, *path); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}
