// gorilla/websocket as an echo server, and as a client against our echo server:
//
//	gorilla server
//	gorilla client URL RAISED DEFLATE
//
// RAISED is the URL of a server that takes 5 MiB, DEFLATE that of one that compresses. A client prints one line for each check: `ok
// NAME`, a note behind it, or `failed NAME: CAUSE`.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	mib  = 1 << 20
	text = "grüße 😀 "
)

func main() {
	if os.Args[1] == "server" {
		serve()
		return
	}
	os.Exit(judge(os.Args[2], os.Args[3], os.Args[4]))
}

func serve() {
	upgrader := websocket.Upgrader{EnableCompression: true, WriteBufferSize: 512}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		for {
			kind, message, err := ws.ReadMessage()
			if err != nil {
				return
			}
			switch {
			case kind == websocket.TextMessage && string(message) == "close":
				ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "bye"))
			default:
				ws.WriteMessage(kind, message)
			}
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on ws://%s\n", listener.Addr())
	http.Serve(listener, nil)
}

// split sends a text whose frames end inside its characters: a writer sends a frame each time its buffer is full.
func split(ws *websocket.Conn, text string) error {
	ws.EnableWriteCompression(false)
	defer ws.EnableWriteCompression(true)
	writer, err := ws.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	if _, err := writer.Write([]byte(text)); err != nil {
		return err
	}
	return writer.Close()
}

// open connects; buffer is the size of the write buffer, and so of each frame.
func open(url string, buffer int) (*websocket.Conn, *http.Response, error) {
	dialer := websocket.Dialer{WriteBufferSize: buffer, EnableCompression: true, HandshakeTimeout: 5 * time.Second}
	ws, response, err := dialer.Dial(url, nil)
	if err == nil {
		ws.SetReadDeadline(time.Now().Add(15 * time.Second))
	}
	return ws, response, err
}

func echo(ws *websocket.Conn, kind int, message []byte) error {
	if err := ws.WriteMessage(kind, message); err != nil {
		return err
	}
	return comes(ws, kind, message)
}

func comes(ws *websocket.Conn, kind int, message []byte) error {
	got, back, err := ws.ReadMessage()
	if err == nil && (got != kind || !bytes.Equal(back, message)) {
		err = errors.New("another message came back")
	}
	return err
}

// inFrames sends a message through a writer, in frames as large as the write buffer, and waits for its echo.
func inFrames(url string, buffer, size int) error {
	ws, _, err := open(url, buffer)
	if err != nil {
		return err
	}
	defer ws.Close()
	message := bytes.Repeat([]byte{7}, size)
	writer, err := ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{message[:size/2], message[size/2:]} {
		if _, err := writer.Write(part); err != nil {
			return err
		}
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return comes(ws, websocket.BinaryMessage, message)
}

func closed(ws *websocket.Conn, code int, reason string) error {
	_, _, err := ws.ReadMessage()
	close, ok := err.(*websocket.CloseError)
	if !ok || close.Code != code || !strings.HasPrefix(close.Text, reason) {
		return fmt.Errorf("%v instead of a close frame with %d %s", err, code, reason)
	}
	return nil
}

func judge(url, raised, deflate string) int {
	type check struct {
		name string
		run  func(ws *websocket.Conn) (string, error)
	}
	checks := []check{
		{"sizes", func(ws *websocket.Conn) (string, error) {
			for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
				if err := echo(ws, websocket.BinaryMessage, make([]byte, size)); err != nil {
					return "", err
				}
				if err := echo(ws, websocket.TextMessage, bytes.Repeat([]byte("x"), size)); err != nil {
					return "", err
				}
			}
			return "", echo(ws, websocket.TextMessage, []byte(strings.Repeat(text, 1000)))
		}},
		{"1MiB", func(ws *websocket.Conn) (string, error) {
			return "in frames of 512 B", inFrames(url, 512, mib)
		}},
		{"+1", func(ws *websocket.Conn) (string, error) {
			if err := ws.WriteMessage(websocket.BinaryMessage, make([]byte, mib+1)); err != nil {
				return "", err
			}
			return "1009", closed(ws, 1009, "message over 1048576 bytes")
		}},
		{"5MiB", func(ws *websocket.Conn) (string, error) {
			return "in frames of 4 KiB", inFrames(raised, 4096, 5*mib)
		}},
		{"ping", func(ws *websocket.Conn) (string, error) {
			var pong string
			ws.SetPongHandler(func(payload string) error { pong = payload; return nil })
			if err := ws.WriteMessage(websocket.PingMessage, []byte("are you there?")); err != nil {
				return "", err
			}
			if err := echo(ws, websocket.TextMessage, []byte("x")); err != nil {
				return "", err
			}
			// The pong is sent when nothing else waits to be written.
			if err := echo(ws, websocket.TextMessage, []byte("y")); err != nil || pong != "are you there?" {
				return "", fmt.Errorf("pong %q, %v", pong, err)
			}
			return "", nil
		}},
		{"theirs", func(ws *websocket.Conn) (string, error) {
			payload := websocket.FormatCloseMessage(4002, "done")
			if err := ws.WriteMessage(websocket.CloseMessage, payload); err != nil {
				return "", err
			}
			return "4002", closed(ws, 4002, "done")
		}},
		{"ours", func(ws *websocket.Conn) (string, error) {
			if err := ws.WriteMessage(websocket.TextMessage, []byte("close")); err != nil {
				return "", err
			}
			return "4001", closed(ws, 4001, "bye")
		}},
		{"deflate", func(*websocket.Conn) (string, error) {
			ws, response, err := open(deflate, 4096)
			if err != nil {
				return "", err
			}
			defer ws.Close()
			agreed := response.Header.Get("Sec-WebSocket-Extensions")
			if agreed == "" {
				return "", errors.New("compression was not agreed on")
			}
			for _, times := range []int{0, 1, 10_000, 0, 10_000} {
				if err := echo(ws, websocket.TextMessage, []byte(strings.Repeat(text, times))); err != nil {
					return "", err
				}
			}
			return strings.TrimPrefix(agreed, "permessage-deflate; "), nil
		}},
		{"split", func(*websocket.Conn) (string, error) {
			// An odd size of frames cuts characters of two bytes.
			ws, _, err := open(url, 33)
			if err != nil {
				return "", err
			}
			defer ws.Close()
			if err := ws.WriteMessage(websocket.TextMessage, []byte("split")); err != nil {
				return "", err
			}
			if err := comes(ws, websocket.TextMessage, []byte("é")); err != nil {
				return "", err
			}
			long := strings.Repeat("é", 100)
			if err := split(ws, long); err != nil {
				return "", err
			}
			return "both ways", comes(ws, websocket.TextMessage, []byte(long))
		}},
	}
	failed := 0
	for _, check := range checks {
		ws, _, err := open(url, 4096)
		note := ""
		if err == nil {
			note, err = check.run(ws)
			ws.Close()
		}
		if err != nil {
			failed = 1
			fmt.Printf("failed %s: %v\n", check.name, err)
		} else {
			fmt.Println(strings.TrimSpace("ok " + check.name + " " + note))
		}
	}
	return failed
}
