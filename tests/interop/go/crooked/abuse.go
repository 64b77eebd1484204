package main

import (
	"crypto/tls"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// How many frames of a flood are written before anything else may be.
const batch = 1000

// How many headers are many, and how many of them one frame has.
const (
	manyHeaders  = 10_000
	frameHeaders = 1000
)

// The last number that a stream may have.
const lastStream = 1<<31 - 1

// spoil is what goes wrong before the first request.
func (c *conversation) spoil() error {
	if c.flaw != "zero-window" {
		return nil
	}
	return c.write(func() error {
		return c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	})
}

// abuse is what a request gets for an answer.
func (c *conversation) abuse(stream uint32) error {
	switch c.flaw {
	case "ping-flood":
		go c.flood(c.ping)
	case "settings-flood":
		go c.flood(c.settings)
	case "continuation-flood":
		go c.flood(c.continuation(stream))
	case "goaway-loop":
		go c.flood(func(uint64) error { return c.framer.WriteGoAway(lastStream, http2.ErrCodeNo, nil) })
	case "reset-flood":
		go c.flood(c.resetIdle)
	case "reset-answered":
		go c.flood(func(uint64) error { return c.framer.WriteRSTStream(stream, http2.ErrCodeCancel) })
	case "empty-data":
		go c.flood(c.emptyData(stream))
	case "unknown-frames":
		go c.flood(func(uint64) error { return c.framer.WriteRawFrame(0xfa, 0, 0, nil) })
	case "goaway":
		return c.write(func() error { return c.framer.WriteGoAway(0, http2.ErrCodeNo, nil) })
	case "many-headers":
		return c.write(func() error { return c.many(stream) })
	case "push":
		return c.write(func() error { return c.push(stream) })
	case "half-close":
		return c.closeHalf()
	case "trickle":
		go c.trickle(stream)
	case "zero-window":
		// The request should not have come whole.
		return c.write(func() error { return c.framer.WriteGoAway(0, http2.ErrCodeFlowControl, nil) })
	default:
		return c.reply(stream, nothing)
	}
	return nil
}

// flood writes frames until nobody takes them any more.
func (c *conversation) flood(frame func(number uint64) error) {
	for number := uint64(0); ; {
		err := c.write(func() error {
			for range batch {
				if err := frame(number); err != nil {
					return err
				}
				number++
			}
			return nil
		})
		if err != nil {
			return
		}
	}
}

func (c *conversation) ping(number uint64) error {
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], number)
	return c.framer.WritePing(false, data)
}

// settings changes one back and forth.
func (c *conversation) settings(number uint64) error {
	window := uint32(1<<16 + number%2)
	return c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
}

// continuation is a block of headers that never ends.
func (c *conversation) continuation(stream uint32) func(uint64) error {
	return func(number uint64) error {
		if number == 0 {
			return c.head(stream, true)
		}
		return c.framer.WriteContinuation(stream, false, c.block("x-more", strings.Repeat("x", 100)))
	}
}

// resetIdle resets streams that nobody has opened.
func (c *conversation) resetIdle(number uint64) error {
	stream := uint32(1_000_001 + 2*number%1_000_000)
	return c.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
}

// emptyData is a body of nothing that never ends.
func (c *conversation) emptyData(stream uint32) func(uint64) error {
	return func(number uint64) error {
		if number == 0 {
			return c.head(stream, false)
		}
		return c.framer.WriteData(stream, false, nil)
	}
}

// many is a good answer with far too many headers.
func (c *conversation) many(stream uint32) error {
	if err := c.head(stream, true); err != nil {
		return err
	}
	var pairs []string
	for number := range manyHeaders {
		pairs = append(pairs, "x-"+strconv.Itoa(number), "x")
		if (number+1)%frameHeaders > 0 {
			continue
		}
		if err := c.framer.WriteContinuation(stream, number == manyHeaders-1, c.block(pairs...)); err != nil {
			return err
		}
		pairs = nil
	}
	if err := c.framer.WriteData(stream, false, nothing); err != nil {
		return err
	}
	return c.headers(stream, true, true, "grpc-status", "0")
}

// push promises what nobody asked for.
func (c *conversation) push(stream uint32) error {
	return c.framer.WritePushPromise(http2.PushPromiseParam{
		StreamID:      stream,
		PromiseID:     2,
		BlockFragment: c.block(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "localhost"),
		EndHeaders:    true,
	})
}

// closeHalf says no more, and goes on listening.
func (c *conversation) closeHalf() error {
	return c.stream.(*tls.Conn).CloseWrite()
}

// trickle sends a byte a second of an answer that is as long as it is announced to be: no end of it comes.
func (c *conversation) trickle(stream uint32) {
	err := c.write(func() error { return c.head(stream, false) })
	for number := 0; err == nil; number++ {
		// The first five announce 65536 bytes.
		part := []byte{0}
		if number == 2 {
			part[0] = 1
		}
		err = c.write(func() error { return c.framer.WriteData(stream, false, part) })
		time.Sleep(time.Second)
	}
}
