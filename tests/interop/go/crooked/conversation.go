package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// How many bytes leave at once, at the most: a flood of single frames would not be one.
const bufferBytes = 64 << 10

// A message of gRPC without a field, and one whose first field is 1: what is asked for serves, and is a secrets plugin.
var (
	nothing = []byte{0, 0, 0, 0, 0}
	one     = []byte{0, 0, 0, 0, 2, 8, 1}
)

// conversation is one connection.
type conversation struct {
	stream net.Conn
	flaw   string
	framer *http2.Framer
	// methods are the calls whose requests have not come whole.
	methods map[uint32]string

	lock    sync.Mutex
	out     *bufio.Writer
	encoded bytes.Buffer
	encoder *hpack.Encoder
}

func newConversation(stream net.Conn, flaw string) *conversation {
	c := &conversation{stream: stream, flaw: flaw, methods: map[uint32]string{}}
	c.out = bufio.NewWriterSize(stream, bufferBytes)
	c.framer = http2.NewFramer(c.out, bufio.NewReader(stream))
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.AllowIllegalWrites = true
	c.encoder = hpack.NewEncoder(&c.encoded)
	return c
}

// run talks until the other side is gone.
func (c *conversation) run() error {
	if err := c.begin(); err != nil {
		return err
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return fmt.Errorf("reading a frame: %w", err)
		}
		if err := c.take(frame); err != nil {
			return err
		}
	}
}

// begin sends what opens a connection first, so that whoever expects something else knows at once.
func (c *conversation) begin() error {
	if err := c.write(func() error { return c.framer.WriteSettings() }); err != nil {
		return err
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.stream, preface); err != nil {
		return fmt.Errorf("reading the preface: %w", err)
	}
	return nil
}

func (c *conversation) take(frame http2.Frame) error {
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return c.write(c.framer.WriteSettingsAck)
		}
	case *http2.PingFrame:
		if !frame.IsAck() {
			return c.write(func() error { return c.framer.WritePing(true, frame.Data) })
		}
	case *http2.MetaHeadersFrame:
		c.methods[frame.StreamID] = path.Base(frame.PseudoValue("path"))
		if frame.StreamEnded() {
			return c.answer(frame.StreamID)
		}
	case *http2.DataFrame:
		if frame.StreamEnded() {
			return c.answer(frame.StreamID)
		}
	}
	return nil
}

// answer does what a call is answered with.
func (c *conversation) answer(stream uint32) error {
	method := c.methods[stream]
	delete(c.methods, stream)
	switch method {
	case "HandleRequest":
		return c.abuse(stream)
	case "Initialize":
		if err := c.spoil(); err != nil {
			return err
		}
		return c.reply(stream, nothing)
	case "StartStream", "StreamStdio":
		// These stay open for as long as there is nothing to say.
		return nil
	case "Check", "Type":
		return c.reply(stream, one)
	case "Shutdown":
		if err := c.reply(stream, nothing); err != nil {
			return err
		}
		os.Exit(0)
	}
	return c.reply(stream, nothing)
}

// reply is a whole and good answer.
func (c *conversation) reply(stream uint32, message []byte) error {
	return c.write(func() error {
		if err := c.head(stream, false); err != nil {
			return err
		}
		if err := c.framer.WriteData(stream, false, message); err != nil {
			return err
		}
		return c.headers(stream, true, true, "grpc-status", "0")
	})
}

// head begins an answer; its block of headers may stay open.
func (c *conversation) head(stream uint32, open bool) error {
	return c.headers(stream, false, !open, ":status", "200", "content-type", "application/grpc")
}

func (c *conversation) headers(stream uint32, last, whole bool, pairs ...string) error {
	return c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID:      stream,
		BlockFragment: c.block(pairs...),
		EndStream:     last,
		EndHeaders:    whole,
	})
}

// block encodes names and values, as far as possible without what only the other side's memory would have.
func (c *conversation) block(pairs ...string) []byte {
	c.encoded.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1], Sensitive: true})
	}
	return bytes.Clone(c.encoded.Bytes())
}

// write sends what is written meanwhile, and nothing else in between.
func (c *conversation) write(frames func() error) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	if err := frames(); err != nil {
		return err
	}
	return c.out.Flush()
}
