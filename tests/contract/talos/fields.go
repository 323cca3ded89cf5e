package main

import (
	"encoding"
	"errors"
	"reflect"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
)

// shape is what the loader of this minor knows: per type its keys, each with what stands under it ("" for any
// value, a type's name, "[]" before it for a list, "{}" for a map with any keys); per kind its type.
type shape struct {
	Types     map[string]map[string]string `json:"types"`
	Documents map[string]string            `json:"documents"`
}

// fields reads the shape from the library's own types, as its check for unknown keys does (gen/xyaml). Kinds
// that this minor does not know are left out.
func fields(r request) (answer, error) {
	found := shape{Types: map[string]map[string]string{}, Documents: map[string]string{}}
	for _, kind := range append([]string{""}, r.Kinds...) {
		text := "apiVersion: v1alpha1\nkind: " + kind + "\n"
		if kind == "" {
			text = "version: v1alpha1\nmachine: {}\n"
		}
		loaded, err := configloader.NewFromBytes([]byte(text))
		if err != nil { // a pair of links must be told apart when it is read
			loaded, err = configloader.NewFromBytes([]byte(text + "name: a\npeer: {name: b}\n"))
		}
		if err != nil {
			continue
		}
		documents := loaded.Documents()
		found.Documents[kind] = found.reference(reflect.TypeOf(documents[0]))
	}
	return answer{Shape: &found}, nil
}

func (s shape) reference(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return prefixed("[]", s.reference(t.Elem()))
	case reflect.Map:
		return prefixed("{}", s.reference(t.Elem()))
	case reflect.Struct:
		return s.structure(t)
	default:
		return ""
	}
}

func prefixed(mark, inner string) string {
	if inner == "" {
		return ""
	}
	return mark + inner
}

func (s shape) structure(t reflect.Type) string {
	if _, seen := s.Types[t.String()]; seen {
		return t.String()
	}
	if isText(t) {
		return ""
	}
	keys := map[string]string{}
	s.Types[t.String()] = keys
	for _, field := range reflect.VisibleFields(t) {
		tag, tagged := field.Tag.Lookup("yaml")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" || (tagged && name == "") {
			if strings.Contains(options, "inline") && field.Type.Kind() == reflect.Map {
				delete(s.Types, t.String()) // any key is fine
				return ""
			}
			continue
		}
		if !tagged && !field.IsExported() {
			continue
		}
		if !tagged {
			name = strings.ToLower(field.Name)
		}
		keys[name] = s.reference(field.Type)
	}
	if len(keys) == 0 { // a value that is written as text
		delete(s.Types, t.String())
		return ""
	}
	return t.String()
}

// isText tells whether values of this type are read from text, as an address, a size or a range of ports is.
func isText(t reflect.Type) bool {
	value := reflect.New(t).Interface()
	if _, found := value.(encoding.TextUnmarshaler); found {
		return true
	}
	text := false
	if own, found := value.(interface{ UnmarshalYAML(func(any) error) error }); found {
		_ = own.UnmarshalYAML(func(into any) error {
			text = reflect.TypeOf(into).Elem().Kind() != reflect.Struct
			return errors.New("asked for what it is read from")
		})
	}
	return text || t.PkgPath() == "net/url"
}
