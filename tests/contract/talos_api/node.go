package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The answers of a node. Each value differs from its type's zero, so that a field that gets lost shows.

type machineService struct {
	machine.UnimplementedMachineServiceServer
}

func (*machineService) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version:  &machine.VersionInfo{Tag: "v1.13.9", Arch: "arm64", Os: "linux"},
		Platform: &machine.PlatformInfo{Name: "metal", Mode: "metal"},
	}}}, nil
}

func (*machineService) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{{Services: []*machine.ServiceInfo{
		{Id: "etcd", State: "Running", Health: &machine.ServiceHealth{Healthy: true}},
		{Id: "kubelet", State: "Preparing", Health: &machine.ServiceHealth{Unknown: true}},
		{Id: "cri", State: "Failed", Health: &machine.ServiceHealth{LastMessage: "no"}},
	}}}}, nil
}

func (*machineService) ServiceRestart(_ context.Context, in *machine.ServiceRestartRequest) (*machine.ServiceRestartResponse, error) {
	return &machine.ServiceRestartResponse{Messages: []*machine.ServiceRestart{{Resp: in.Id + " restarted"}}}, nil
}

func (*machineService) ApplyConfiguration(_ context.Context, in *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	if len(in.Data) == 0 {
		return nil, status.Error(codes.InvalidArgument, "no data")
	}

	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{{
		Mode: machine.ApplyConfigurationRequest_NO_REBOOT, ModeDetails: "details", Warnings: []string{"old field"},
	}}}, nil
}

func (*machineService) Bootstrap(context.Context, *machine.BootstrapRequest) (*machine.BootstrapResponse, error) {
	return nil, status.Error(codes.AlreadyExists, "etcd data directory is not empty")
}

func (*machineService) Reset(context.Context, *machine.ResetRequest) (*machine.ResetResponse, error) {
	return &machine.ResetResponse{Messages: []*machine.Reset{{ActorId: "a"}}}, nil
}

func (*machineService) Reboot(context.Context, *machine.RebootRequest) (*machine.RebootResponse, error) {
	return &machine.RebootResponse{Messages: []*machine.Reboot{{ActorId: "a"}}}, nil
}

func (*machineService) Rollback(context.Context, *machine.RollbackRequest) (*machine.RollbackResponse, error) {
	return &machine.RollbackResponse{Messages: []*machine.Rollback{{}}}, nil
}

func (*machineService) Upgrade(_ context.Context, in *machine.UpgradeRequest) (*machine.UpgradeResponse, error) {
	if strings.Contains(in.Image, "refused") {
		return &machine.UpgradeResponse{Messages: []*machine.Upgrade{{Metadata: &common.Metadata{
			Hostname: "10.9.9.9", Error: "rpc error: locked",
			Status: status.New(codes.FailedPrecondition, "upgrade is locked").Proto(),
		}}}}, nil
	}

	return &machine.UpgradeResponse{Messages: []*machine.Upgrade{{Ack: "Upgrade request received", ActorId: "actor-1"}}}, nil
}

func (*machineService) MetaWrite(context.Context, *machine.MetaWriteRequest) (*machine.MetaWriteResponse, error) {
	return &machine.MetaWriteResponse{Messages: []*machine.MetaWrite{{}}}, nil
}

func (*machineService) MetaDelete(context.Context, *machine.MetaDeleteRequest) (*machine.MetaDeleteResponse, error) {
	return &machine.MetaDeleteResponse{Messages: []*machine.MetaDelete{{}}}, nil
}

func (*machineService) EtcdMemberList(context.Context, *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{{Members: []*machine.EtcdMember{{
		Id: 1<<63 + 1, Hostname: "cp", PeerUrls: []string{"https://10.0.0.5:2380"}, IsLearner: true,
	}}}}}, nil
}

func (*machineService) EtcdStatus(context.Context, *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	return &machine.EtcdStatusResponse{Messages: []*machine.EtcdStatus{{MemberStatus: &machine.EtcdMemberStatus{
		StorageVersion: "3.6.0", ProtocolVersion: "3.6.4", DbSize: 1 << 40, DbSizeInUse: 1 << 39, MemberId: 1<<63 + 1,
		Leader: 1<<63 + 2, RaftIndex: 7, RaftTerm: 3, RaftAppliedIndex: 6, Errors: []string{"etcdserver: no space"},
		IsLearner: true,
	}}}}, nil
}

var alarm = []*machine.EtcdMemberAlarm{{MemberId: 1<<63 + 1, Alarm: machine.EtcdMemberAlarm_NOSPACE}}

func (*machineService) EtcdAlarmList(context.Context, *emptypb.Empty) (*machine.EtcdAlarmListResponse, error) {
	return &machine.EtcdAlarmListResponse{Messages: []*machine.EtcdAlarm{{MemberAlarms: alarm}}}, nil
}

func (*machineService) EtcdAlarmDisarm(context.Context, *emptypb.Empty) (*machine.EtcdAlarmDisarmResponse, error) {
	return &machine.EtcdAlarmDisarmResponse{Messages: []*machine.EtcdAlarmDisarm{{MemberAlarms: alarm}}}, nil
}

func (*machineService) EtcdLeaveCluster(context.Context, *machine.EtcdLeaveClusterRequest) (*machine.EtcdLeaveClusterResponse, error) {
	return &machine.EtcdLeaveClusterResponse{Messages: []*machine.EtcdLeaveCluster{{}}}, nil
}

func (*machineService) EtcdForfeitLeadership(context.Context, *machine.EtcdForfeitLeadershipRequest) (*machine.EtcdForfeitLeadershipResponse, error) {
	return &machine.EtcdForfeitLeadershipResponse{Messages: []*machine.EtcdForfeitLeadership{{Member: "8000000000000002"}}}, nil
}

func (*machineService) EtcdRemoveMemberByID(context.Context, *machine.EtcdRemoveMemberByIDRequest) (*machine.EtcdRemoveMemberByIDResponse, error) {
	return &machine.EtcdRemoveMemberByIDResponse{Messages: []*machine.EtcdRemoveMemberByID{{}}}, nil
}

func (*machineService) EtcdSnapshot(_ *machine.EtcdSnapshotRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	database := bytes.Repeat([]byte("bolt"), 3<<18)
	sum := sha256.Sum256(database)

	return send(stream, append(database, sum[:]...))
}

func (*machineService) Logs(in *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	return send(stream, []byte(in.Namespace+"/"+in.Id+": line\n"))
}

func (*machineService) Dmesg(_ *machine.DmesgRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	return send(stream, bytes.Repeat([]byte("kern: line\n"), 1000))
}

func (*machineService) Read(in *machine.ReadRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	return send(stream, []byte("content of "+in.Path+"\n"))
}

func send(stream grpc.ServerStreamingServer[common.Data], data []byte) error {
	for len(data) > 0 {
		size := min(len(data), 4096)
		if err := stream.Send(&common.Data{Bytes: data[:size]}); err != nil {
			return err
		}

		data = data[size:]
	}

	return nil
}

func (*machineService) Events(_ *machine.EventsRequest, stream grpc.ServerStreamingServer[machine.Event]) error {
	events := []proto.Message{
		nil, // says only that the stream began
		&machine.SequenceEvent{Sequence: "upgrade", Action: machine.SequenceEvent_START},
		&machine.TaskEvent{Task: "kexec", Action: machine.TaskEvent_STOP},
		&machine.ServiceStateEvent{
			Service: "etcd", Action: machine.ServiceStateEvent_STOPPING, Message: "bye", Health: &machine.ServiceHealth{Healthy: true},
		},
		&machine.MachineStatusEvent{
			Stage: machine.MachineStatusEvent_UPGRADING,
			Status: &machine.MachineStatusEvent_MachineStatus{
				UnmetConditions: []*machine.MachineStatusEvent_MachineStatus_UnmetCondition{{Name: "services", Reason: "etcd"}},
			},
		},
		&machine.SequenceEvent{Sequence: "upgrade", Error: &common.Error{Code: common.Code_LOCKED, Message: "locked"}},
	}

	for i, event := range events {
		data := &anypb.Any{}
		if event != nil {
			value, err := proto.Marshal(event)
			if err != nil {
				return err
			}

			data = &anypb.Any{TypeUrl: "talos/runtime/" + string(event.ProtoReflect().Descriptor().FullName()), Value: value}
		}

		if err := stream.Send(&machine.Event{Data: data, Id: string(rune('a' + i)), ActorId: "actor-1"}); err != nil {
			return err
		}
	}

	return stream.Send(&machine.Event{Data: &anypb.Any{TypeUrl: "talos/runtime/machine.OfALaterTalos", Value: []byte{8, 1}}, Id: "z"})
}

type imageService struct {
	machine.UnimplementedImageServiceServer
}

func (*imageService) Pull(in *machine.ImageServicePullRequest, stream grpc.ServerStreamingServer[machine.ImageServicePullResponse]) error {
	for _, state := range []machine.ImageServicePullLayerProgress_Status{
		machine.ImageServicePullLayerProgress_DOWNLOADING, machine.ImageServicePullLayerProgress_EXTRACT_COMPLETE,
	} {
		progress := &machine.ImageServicePullProgress{
			LayerId: "sha256:1", Progress: &machine.ImageServicePullLayerProgress{Status: state, Offset: 5, Total: 1 << 33},
		}
		if err := stream.Send(&machine.ImageServicePullResponse{
			Response: &machine.ImageServicePullResponse_PullProgress{PullProgress: progress},
		}); err != nil {
			return err
		}
	}

	return stream.Send(&machine.ImageServicePullResponse{Response: &machine.ImageServicePullResponse_Name{Name: in.ImageRef + "@sha256:2"}})
}

func (*imageService) List(_ *machine.ImageServiceListRequest, stream grpc.ServerStreamingServer[machine.ImageServiceListResponse]) error {
	return stream.Send(&machine.ImageServiceListResponse{Name: "installer", Digest: "sha256:2", Size: 1 << 33, Labels: map[string]string{"a": "b"}})
}

type lifecycleService struct {
	machine.UnimplementedLifecycleServiceServer
}

func (*lifecycleService) Upgrade(in *machine.LifecycleServiceUpgradeRequest, stream grpc.ServerStreamingServer[machine.LifecycleServiceUpgradeResponse]) error {
	name := in.GetSource().GetImageName()
	lines := []*machine.LifecycleServiceInstallProgress{
		{Response: &machine.LifecycleServiceInstallProgress_Message{Message: "installing " + name}},
		{Response: &machine.LifecycleServiceInstallProgress_Message{Message: "done"}},
	}

	switch {
	case strings.Contains(name, "broken"):
		lines = append(lines, &machine.LifecycleServiceInstallProgress{Response: &machine.LifecycleServiceInstallProgress_ExitCode{ExitCode: 3}})
	case !strings.Contains(name, "cut"):
		lines = append(lines, &machine.LifecycleServiceInstallProgress{Response: &machine.LifecycleServiceInstallProgress_ExitCode{ExitCode: 0}})
	}

	for _, line := range lines {
		if err := stream.Send(&machine.LifecycleServiceUpgradeResponse{Progress: line}); err != nil {
			return err
		}
	}

	return nil
}

type storageService struct {
	storage.UnimplementedStorageServiceServer
}

func (*storageService) BlockDeviceWipe(context.Context, *storage.BlockDeviceWipeRequest) (*storage.BlockDeviceWipeResponse, error) {
	return &storage.BlockDeviceWipeResponse{Messages: []*storage.BlockDeviceWipe{{}}}, nil
}
