package main

import (
	"github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/enums"
	"github.com/siderolabs/talos/pkg/machinery/api/resource/definitions/network"
	"github.com/siderolabs/talos/pkg/machinery/cel"
	"github.com/siderolabs/talos/pkg/machinery/cel/celenv"
)

func init() { operations["links"] = links }

// links tells which cards an expression finds, in the environment in which Talos evaluates it.
func links(r request) (answer, error) {
	expression, err := cel.ParseBooleanExpression(r.Match, celenv.LinkLocator())
	if err != nil {
		return answer{}, err
	}
	found := make([]bool, len(r.Links))
	for i, one := range r.Links {
		spec := &network.LinkStatusSpec{
			PermanentAddr: one.Mac, HardwareAddr: one.Mac, Type: enums.NethelpersLinkType(one.Type),
			Kind: one.Kind, Driver: one.Driver, BusPath: one.Bus,
		}
		if found[i], err = expression.EvalBool(celenv.LinkLocator(), map[string]any{"link": spec}); err != nil {
			return answer{}, err
		}
	}
	return answer{Matches: found}, nil
}
