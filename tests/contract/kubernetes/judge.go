// Decodes Kubernetes objects into their own types, strictly: an unknown field, a wrong type or an unknown kind
// is an error. Reads one YAML text of a JSON string per line; answers one line each: {"error": ..., "kinds": [...]}.
// Does not validate what only the API server knows (admission, references).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

type answer struct {
	Error string   `json:"error"`
	Kinds []string `json:"kinds"`
}

func decoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, batch.AddToScheme, rbac.AddToScheme, apps.AddToScheme, networking.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	options := kjson.SerializerOptions{Yaml: true, Strict: true}
	return kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme, scheme, options)
}

func judge(decode runtime.Decoder, text string) (kinds []string, err error) {
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader([]byte(text))))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return kinds, nil
		} else if err != nil {
			return kinds, err
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		_, kind, err := decode.Decode(document, nil, nil)
		if err != nil {
			return kinds, err
		}
		kinds = append(kinds, fmt.Sprintf("%s/%s", kind.GroupVersion(), kind.Kind))
	}
}

func main() {
	decode := decoder()
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return
		}
		var text string
		if err := json.Unmarshal(line, &text); err != nil {
			panic(err)
		}
		kinds, err := judge(decode, text)
		given := answer{Kinds: kinds}
		if err != nil {
			given.Error = err.Error()
		}
		if err := out.Encode(given); err != nil {
			panic(err)
		}
	}
}
