package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	clientconfig "github.com/siderolabs/talos/pkg/machinery/client/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

const patience = 20 * time.Second

type call func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error)

// calls are what the official client can be asked for.
var calls = map[string]call{
	"ApplyConfiguration": unary(func(c *client.Client) func(context.Context, *machine.ApplyConfigurationRequest, ...grpc.CallOption) (*machine.ApplyConfigurationResponse, error) {
		return c.ApplyConfiguration
	}),
	"Bootstrap": nothing(func(ctx context.Context, c *client.Client, in *machine.BootstrapRequest) error {
		return c.Bootstrap(ctx, in)
	}),
	"Version":     plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.Version(ctx) }),
	"ServiceList": plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.ServiceList(ctx) }),
	"ServiceRestart": one(func(ctx context.Context, c *client.Client, in *machine.ServiceRestartRequest) (proto.Message, error) {
		return c.ServiceRestart(ctx, in.Id)
	}),
	"Disks":           plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.Disks(ctx) }),
	"EtcdStatus":      plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.EtcdStatus(ctx) }),
	"EtcdAlarmList":   plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.EtcdAlarmList(ctx) }),
	"EtcdAlarmDisarm": plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.EtcdAlarmDisarm(ctx) }),
	"EtcdDefragment":  plain(func(ctx context.Context, c *client.Client) (proto.Message, error) { return c.EtcdDefragment(ctx) }),
	"EtcdMemberList": unary(func(c *client.Client) func(context.Context, *machine.EtcdMemberListRequest, ...grpc.CallOption) (*machine.EtcdMemberListResponse, error) {
		return c.EtcdMemberList
	}),
	"EtcdForfeitLeadership": unary(func(c *client.Client) func(context.Context, *machine.EtcdForfeitLeadershipRequest, ...grpc.CallOption) (*machine.EtcdForfeitLeadershipResponse, error) {
		return c.EtcdForfeitLeadership
	}),
	"EtcdLeaveCluster": nothing(func(ctx context.Context, c *client.Client, in *machine.EtcdLeaveClusterRequest) error {
		return c.EtcdLeaveCluster(ctx, in)
	}),
	"EtcdRemoveMemberByID": nothing(func(ctx context.Context, c *client.Client, in *machine.EtcdRemoveMemberByIDRequest) error {
		return c.EtcdRemoveMemberByID(ctx, in)
	}),
	"Reset": nothing(func(ctx context.Context, c *client.Client, in *machine.ResetRequest) error {
		return c.ResetGeneric(ctx, in)
	}),
	"Reboot":   nothing(func(ctx context.Context, c *client.Client, _ *machine.RebootRequest) error { return c.Reboot(ctx) }),
	"Rollback": nothing(func(ctx context.Context, c *client.Client, _ *machine.RollbackRequest) error { return c.Rollback(ctx) }),
	"Upgrade": one(func(ctx context.Context, c *client.Client, in *machine.UpgradeRequest) (proto.Message, error) {
		// UpgradeWithOptions can't leave preserve out.
		reply, err := c.MachineClient.Upgrade(ctx, in)
		if err != nil {
			return nil, err
		}

		return client.FilterMessages(reply, err)
	}),
	"MetaWrite": nothing(func(ctx context.Context, c *client.Client, in *machine.MetaWriteRequest) error {
		return c.MetaWrite(ctx, uint8(in.Key), in.Value)
	}),
	"MetaDelete": nothing(func(ctx context.Context, c *client.Client, in *machine.MetaDeleteRequest) error {
		return c.MetaDelete(ctx, uint8(in.Key))
	}),
	"Kubeconfig": func(ctx context.Context, c *client.Client, _ json.RawMessage) (any, error) {
		text, err := c.Kubeconfig(ctx)

		return string(text), err
	},
	"EtcdSnapshot": func(ctx context.Context, c *client.Client, _ json.RawMessage) (any, error) {
		return read(c.EtcdSnapshot(ctx, &machine.EtcdSnapshotRequest{}))
	},
	"Logs": func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
		in := &machine.LogsRequest{}
		if err := decode(request, in); err != nil {
			return nil, err
		}

		stream, err := c.Logs(ctx, in.Namespace, common.ContainerDriver_CONTAINERD, in.Id, false, in.TailLines)
		if err != nil {
			return nil, err
		}

		return read(client.ReadStream(stream))
	},
	"Dmesg": func(ctx context.Context, c *client.Client, _ json.RawMessage) (any, error) {
		stream, err := c.Dmesg(ctx, false, false)
		if err != nil {
			return nil, err
		}

		return read(client.ReadStream(stream))
	},
	"Read": func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
		in := &machine.ReadRequest{}
		if err := decode(request, in); err != nil {
			return nil, err
		}

		return read(c.Read(ctx, in.Path))
	},
	"ImagePull": func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
		in := &machine.ImageServicePullRequest{}
		if err := decode(request, in); err != nil {
			return nil, err
		}

		return all(c.ImageClient.Pull(ctx, in))
	},
	"ImageList": func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
		in := &machine.ImageServiceListRequest{}
		if err := decode(request, in); err != nil {
			return nil, err
		}

		return all(c.ImageClient.List(ctx, in))
	},
	"LifecycleUpgrade": func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
		in := &machine.LifecycleServiceUpgradeRequest{}
		if err := decode(request, in); err != nil {
			return nil, err
		}

		return all(c.LifecycleClient.Upgrade(ctx, in))
	},
	"Events":            events,
	"DiscoveredVolumes": listed[*block.DiscoveredVolume],
	"BlockDisks":        listed[*block.Disk],
	"SystemInformation": listed[*hardware.SystemInformation],
	"Processors":        listed[*hardware.Processor],
	"MemoryModules":     listed[*hardware.MemoryModule],
	"PCIDevices":        listed[*hardware.PCIDevice],
	"ClusterInfo":       listed[*cluster.Info],
	"RunningConfig":     runningConfig,
	"MachineStatus":     listed[*runtime.MachineStatus],
}

// events gives past events of an actor, as many as the node has.
func events(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
	var in struct {
		Actor string
		Count int
	}

	if err := json.Unmarshal(request, &in); err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	found := make(chan client.EventResult)
	if err := c.EventsWatchV2(ctx, found, client.WithTailEvents(-1), client.WithActorID(in.Actor)); err != nil {
		return nil, err
	}

	got := []any{}

	for len(got) < in.Count {
		select {
		case result := <-found:
			if result.Error != nil {
				return got, result.Error
			}

			text, err := protojson.Marshal(result.Event.Payload)
			if err != nil {
				return nil, err
			}

			got = append(got, map[string]any{
				"id": result.Event.ID, "actor": result.Event.ActorID, "type": result.Event.TypeURL, "payload": json.RawMessage(text),
			})
		case <-ctx.Done():
			return got, ctx.Err()
		}
	}

	return got, nil
}

func listed[T meta.ResourceWithRD](ctx context.Context, c *client.Client, _ json.RawMessage) (any, error) {
	list, err := safe.StateListAll[T](ctx, c.COSI)
	if err != nil {
		return nil, err
	}

	found := map[string]any{}
	for one := range list.All() {
		found[one.Metadata().ID()] = one.Spec()
	}

	return found, nil
}

func runningConfig(ctx context.Context, c *client.Client, _ json.RawMessage) (any, error) {
	found, err := safe.StateGetByID[*config.MachineConfig](ctx, c.COSI, config.ActiveID)
	if err != nil {
		return nil, err
	}

	return found.Provider().Bytes()
}

func decode(text json.RawMessage, into proto.Message) error {
	if len(text) == 0 {
		return nil
	}

	return protojson.Unmarshal(text, into)
}

func encode(reply proto.Message) (any, error) {
	text, err := protojson.Marshal(reply)

	return json.RawMessage(text), err
}

func read(reader io.ReadCloser, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	defer reader.Close() //nolint:errcheck

	return io.ReadAll(reader) // base64 in JSON
}

func all[T any, P interface {
	*T
	proto.Message
}](stream grpc.ServerStreamingClient[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}

	found := []any{}

	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return found, nil
		}

		if err != nil {
			return found, err
		}

		text, err := encode(P(reply))
		if err != nil {
			return nil, err
		}

		found = append(found, text)
	}
}

func one[T any, P interface {
	*T
	proto.Message
}](ask func(context.Context, *client.Client, P) (proto.Message, error)) call {
	return func(ctx context.Context, c *client.Client, request json.RawMessage) (any, error) {
		in := P(new(T))
		if err := decode(request, in); err != nil {
			return nil, err
		}

		reply, err := ask(ctx, c, in)
		if err != nil {
			return nil, err
		}

		return encode(reply)
	}
}

func unary[T any, R proto.Message, P interface {
	*T
	proto.Message
}](method func(*client.Client) func(context.Context, P, ...grpc.CallOption) (R, error)) call {
	return one(func(ctx context.Context, c *client.Client, in P) (proto.Message, error) { return method(c)(ctx, in) })
}

func nothing[T any, P interface {
	*T
	proto.Message
}](ask func(context.Context, *client.Client, P) error) call {
	return one(func(ctx context.Context, c *client.Client, in P) (proto.Message, error) {
		return &emptypb.Empty{}, ask(ctx, c, in)
	})
}

func plain(ask func(context.Context, *client.Client) (proto.Message, error)) call {
	return one(func(ctx context.Context, c *client.Client, _ *emptypb.Empty) (proto.Message, error) {
		return ask(ctx, c)
	})
}

// drive reads who to ask, then calls, one a line: {"call", "request"}; and says {"code", "error", "reply"} for each.
func drive() {
	var given struct {
		Endpoint, Ca, Crt, Key string // base64 of PEM, as in a talosconfig
		Insecure               bool
	}

	decoder := json.NewDecoder(os.Stdin)
	if err := decoder.Decode(&given); err != nil {
		fail(err)
	}

	options := []client.OptionFunc{client.WithEndpoints(given.Endpoint)}
	if given.Insecure { // as talosctl --insecure
		options = append(options, client.WithTLSConfig(&tls.Config{InsecureSkipVerify: true})) //nolint:gosec
	} else {
		options = append(options, client.WithConfigContext(&clientconfig.Context{
			Endpoints: []string{given.Endpoint}, CA: given.Ca, Crt: given.Crt, Key: given.Key,
		}))
	}

	c, err := client.New(context.Background(), options...)
	if err != nil {
		fail(err)
	}
	defer c.Close() //nolint:errcheck

	for {
		var asked struct {
			Call    string
			Request json.RawMessage
		}

		if err := decoder.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			fail(err)
		}

		ask, known := calls[asked.Call]
		if !known {
			fail(fmt.Errorf("unknown call %q", asked.Call))
		}

		ctx, cancel := context.WithTimeout(context.Background(), patience)
		reply, err := ask(ctx, c, asked.Request)
		answer := map[string]any{"code": status.Code(err).String(), "reply": reply}

		if err != nil {
			answer["code"] = client.StatusCode(err).String()
			answer["error"] = err.Error()
		}

		cancel()
		say(answer)
	}
}
