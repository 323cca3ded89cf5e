// Judge asks the official machine configuration library: one request per line of JSON on standard input, one
// answer per line on standard output. It is built once for each Talos minor, against that minor's own library.
// It decides nothing itself and never touches a machine.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
)

type request struct {
	Op         string   // check, read, generate, patch, fields or links
	Config     string   // check, read, patch: the documents
	Patches    []string // patch: each a YAML or JSON text
	Bundle     string   // generate: path of a secrets bundle
	Contract   string   // generate: "v1.13"
	Cluster    string   // generate
	Endpoint   string   // generate
	Kubernetes string   // generate
	Disk       string   // generate
	Image      string   // generate
	Kinds      []string // fields: of documents
	Match      string   // links: an expression
	Links      []link   // links
}

// link is a network card as Talos shows it.
type link struct {
	Mac    []byte // base64 in JSON
	Type   int32
	Kind   string
	Driver string
	Bus    string
}

type answer struct {
	Error        string   `json:"error"`
	Warnings     []string `json:"warnings"`
	Documents    int      `json:"documents"`
	Config       string   `json:"config"`
	Controlplane string   `json:"controlplane"`
	Worker       string   `json:"worker"`
	Shape        *shape   `json:"shape,omitempty"`
	Matches      []bool   `json:"matches,omitempty"`
}

// metal is a machine that Talos is installed on.
type metal struct{}

func (metal) String() string        { return "metal" }
func (metal) RequiresInstall() bool { return true }
func (metal) InContainer() bool     { return false }

func check(r request) (answer, error) {
	loaded, err := configloader.NewFromBytes([]byte(r.Config)) // refuses keys that it does not know
	if err != nil {
		return answer{}, err
	}
	warnings, err := loaded.Validate(metal{})
	return answer{Warnings: warnings, Documents: len(loaded.Documents())}, err
}

// read gives back what was understood: a field that the library has no place for is not in it.
func read(r request) (answer, error) {
	loaded, err := configloader.NewFromBytes([]byte(r.Config))
	if err != nil {
		return answer{}, err
	}
	text, err := loaded.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	return answer{Config: string(text)}, err
}

func generated(r request) (answer, error) {
	bundle, err := secrets.LoadBundle(r.Bundle)
	if err != nil {
		return answer{}, err
	}
	bundle.Clock = secrets.NewFixedClock(time.Now())
	contract, err := config.ParseContractFromVersion(r.Contract)
	if err != nil {
		return answer{}, err
	}
	input, err := generate.NewInput(r.Cluster, r.Endpoint, r.Kubernetes,
		generate.WithVersionContract(contract), generate.WithSecretsBundle(bundle),
		generate.WithInstallDisk(r.Disk), generate.WithInstallImage(r.Image))
	if err != nil {
		return answer{}, err
	}
	var made [2]string
	for i, kind := range []machine.Type{machine.TypeControlPlane, machine.TypeWorker} {
		provider, err := input.Config(kind)
		if err != nil {
			return answer{}, err
		}
		text, err := provider.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
		if err != nil {
			return answer{}, err
		}
		made[i] = string(text)
	}
	return answer{Controlplane: made[0], Worker: made[1]}, nil
}

func patched(r request) (answer, error) {
	patches := make([]configpatcher.Patch, 0, len(r.Patches))
	for _, text := range r.Patches {
		patch, err := configpatcher.LoadPatch([]byte(text))
		if err != nil {
			return answer{}, err
		}
		patches = append(patches, patch)
	}
	out, err := configpatcher.Apply(configpatcher.WithBytes([]byte(r.Config)), patches)
	if err != nil {
		return answer{}, err
	}
	text, err := out.Bytes()
	return answer{Config: string(text)}, err
}

// operations are what may be asked; a minor's own file may add some.
var operations = map[string]func(request) (answer, error){
	"check": check, "read": read, "generate": generated, "patch": patched, "fields": fields,
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var r request
		var a answer
		err := json.Unmarshal(lines.Bytes(), &r)
		if operate := operations[r.Op]; err == nil && operate != nil {
			a, err = operate(r)
		} else if err == nil {
			err = errors.New("this minor's judge is not asked that")
		}
		if err != nil {
			a.Error = err.Error()
		}
		if out.Encode(a) != nil {
			os.Exit(1)
		}
	}
	if lines.Err() != nil {
		os.Exit(1)
	}
}
