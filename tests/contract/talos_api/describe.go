package main

import (
	// For their descriptors; what else is described, the other commands import.
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/config"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/block"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/cluster"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/enums"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/extensions"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/hardware"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/network"
	_ "github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/runtime"
	_ "github.com/siderolabs/talos/pkg/machinery/api/security"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

type field struct {
	Number   int    `json:"number"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Repeated bool   `json:"repeated"`
	Oneof    string `json:"oneof"`
	Optional bool   `json:"optional"`
}

type method struct {
	Path            string `json:"path"`
	Request         string `json:"request"`
	Response        string `json:"response"`
	StreamsRequest  bool   `json:"streams_request"`
	StreamsResponse bool   `json:"streams_response"`
}

type description struct {
	Messages map[string][]field          `json:"messages"`
	Enums    map[string]map[string]int32 `json:"enums"`
	Services map[string][]method         `json:"services"`
}

func describe() {
	found := description{map[string][]field{}, map[string]map[string]int32{}, map[string][]method{}}

	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		found.enums(file.Enums())
		found.messages(file.Messages())

		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				one := service.Methods().Get(j)
				name := string(service.FullName())
				found.Services[name] = append(found.Services[name], method{
					Path:            "/" + name + "/" + string(one.Name()),
					Request:         string(one.Input().FullName()),
					Response:        string(one.Output().FullName()),
					StreamsRequest:  one.IsStreamingClient(),
					StreamsResponse: one.IsStreamingServer(),
				})
			}
		}

		return true
	})

	say(found)
}

func (d description) enums(enums protoreflect.EnumDescriptors) {
	for i := range enums.Len() {
		one := enums.Get(i)
		values := map[string]int32{}

		for j := range one.Values().Len() {
			values[string(one.Values().Get(j).Name())] = int32(one.Values().Get(j).Number())
		}

		d.Enums[string(one.FullName())] = values
	}
}

func (d description) messages(messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		one := messages.Get(i)
		fields := []field{}

		for j := range one.Fields().Len() {
			fields = append(fields, asField(one.Fields().Get(j)))
		}

		d.Messages[string(one.FullName())] = fields
		d.enums(one.Enums())
		d.messages(one.Messages())
	}
}

func asField(one protoreflect.FieldDescriptor) field {
	made := field{
		Number:   int(one.Number()),
		Name:     string(one.Name()),
		Type:     one.Kind().String(),
		Repeated: one.Cardinality() == protoreflect.Repeated, // a map is repeated entries
		Optional: one.HasOptionalKeyword(),
	}

	if group := one.ContainingOneof(); group != nil && !group.IsSynthetic() {
		made.Oneof = string(group.Name())
	}

	switch {
	case one.Message() != nil:
		made.Type = string(one.Message().FullName())
	case one.Enum() != nil:
		made.Type = string(one.Enum().FullName())
	}

	return made
}
