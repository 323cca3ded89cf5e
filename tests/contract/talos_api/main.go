// Command talosapi judges the Talos API by the official Go library, in three ways:
//
//	talosapi describe          every message, enum and service of the API, as JSON
//	talosapi serve             a node made of the official service interfaces; what it was asked, as JSON lines
//	talosapi drive             the official client; calls as JSON lines in, results as JSON lines out
//
// It decides nothing: the tests beside it do.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

var stdout = struct {
	sync.Mutex
	*json.Encoder
}{Encoder: json.NewEncoder(os.Stdout)}

// say writes one line of JSON.
func say(value any) {
	stdout.Lock()
	defer stdout.Unlock()

	if err := stdout.Encode(value); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: talosapi describe|serve|drive"))
	}

	switch os.Args[1] {
	case "describe":
		describe()
	case "serve":
		serve()
	case "drive":
		drive()
	default:
		fail(fmt.Errorf("unknown command %q", os.Args[1]))
	}
}
