package main

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/openbao/openbao/sdk/v2/logical"
	"golang.org/x/sync/errgroup"
)

// The most calls that are made before the first one is measured.
const mostWarmUp = 1000

// spread is in microseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func spreadOf(times []time.Duration) *spread {
	slices.Sort(times)
	return &spread{P50: rank(times, 0.50), P99: rank(times, 0.99)}
}

// rank is the smallest time that this share of them all do not exceed.
func rank(sorted []time.Duration, share float64) float64 {
	index := max(int(math.Ceil(share*float64(len(sorted))))-1, 0)
	return math.Round(float64(sorted[index].Nanoseconds())/100) / 10
}

// measureLaunches starts a process, takes one answer of it and ends it, this many times; the end is not measured.
func (h *host) measureLaunches(ctx context.Context, count int, path string) (*spread, error) {
	var times []time.Duration
	for range count {
		begin := time.Now()
		backend, err := h.open(ctx)
		if err != nil {
			return nil, err
		}
		if err := read(ctx, backend, path); err != nil {
			return nil, err
		}
		times = append(times, time.Since(begin))
		backend.Cleanup(ctx)
	}
	return spreadOf(times), nil
}

// measureCalls reads from one process; with each call's time it tells how many there were in a second.
func (h *host) measureCalls(ctx context.Context, count, parallel int, path string) (*spread, float64, error) {
	backend, err := h.open(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer backend.Cleanup(ctx)
	warmUp := make([]time.Duration, min(count, mostWarmUp))
	if err := callAll(ctx, backend, path, parallel, warmUp); err != nil {
		return nil, 0, err
	}
	times := make([]time.Duration, count)
	begin := time.Now()
	if err := callAll(ctx, backend, path, parallel, times); err != nil {
		return nil, 0, err
	}
	rate := float64(count) / time.Since(begin).Seconds()
	return spreadOf(times), math.Round(rate*10) / 10, nil
}

// callAll makes a call for each of the times and fills it in. Worker w of C makes every C-th of them.
func callAll(ctx context.Context, backend logical.Backend, path string, parallel int, times []time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	for worker := range parallel {
		group.Go(func() error {
			for i := worker; i < len(times); i += parallel {
				begin := time.Now()
				if err := read(ctx, backend, path); err != nil {
					return err
				}
				times[i] = time.Since(begin)
			}
			return nil
		})
	}
	return group.Wait()
}

func read(ctx context.Context, backend logical.Backend, path string) error {
	response, err := backend.HandleRequest(ctx, &logical.Request{
		ID:         "5f7b3b0e-8a4d-4c7e-9d0b-0d5f8c1f3a02",
		Operation:  logical.ReadOperation,
		Path:       path,
		MountPoint: "mock/",
	})
	if err == nil && response.IsError() {
		err = response.Error()
	}
	return err
}
