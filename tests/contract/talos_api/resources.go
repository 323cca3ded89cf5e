package main

import (
	"context"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/resources/block"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/hardware"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
)

// configuration has two documents, and characters that mean something in YAML.
const configuration = `
version: v1alpha1
machine:
    type: controlplane
    token: "a&b*c"
---
apiVersion: v1alpha1
kind: HostnameConfig
hostname: kn-1
`

// resources are those of a node that is not ready, in a real COSI state.
func resources() state.State {
	made := state.WrapCore(namespaced.NewState(inmem.Build))

	disk := block.NewDisk(block.NamespaceName, "sda")
	disk.TypedSpec().Size = 1 << 40
	disk.TypedSpec().Model = "MODEL"
	disk.TypedSpec().Serial = "SERIAL"
	disk.TypedSpec().WWID = "naa.5"
	disk.TypedSpec().Transport = "sata"
	disk.TypedSpec().Rotational = true
	disk.TypedSpec().DevPath = "/dev/sda"
	disk.TypedSpec().Symlinks = []string{"/dev/disk/by-id/wwn-0x5"}

	volume := block.NewDiscoveredVolume(block.NamespaceName, "sda5")
	volume.TypedSpec().Name = "vfat"
	volume.TypedSpec().Label = "metal-iso"
	volume.TypedSpec().PartitionLabel = "LABEL"
	volume.TypedSpec().PartitionUUID = "9f9e8d7c-0000-4000-8000-000000000001"
	volume.TypedSpec().DevPath = "/dev/sda5"
	volume.TypedSpec().ParentDevPath = "/dev/sda"

	system := hardware.NewSystemInformation(hardware.SystemInformationID)
	system.TypedSpec().Manufacturer = "Dell"
	system.TypedSpec().ProductName = "R660"
	system.TypedSpec().SerialNumber = "S1"
	system.TypedSpec().UUID = "uuid-1"

	processor := hardware.NewProcessorInfo("CPU-1")
	processor.TypedSpec().ProductName = "Xeon"
	processor.TypedSpec().CoreCount = 32
	processor.TypedSpec().ThreadCount = 64

	memory := hardware.NewMemoryModuleInfo("DIMM-A1")
	memory.TypedSpec().Size = 32768
	memory.TypedSpec().DeviceLocator = "A1"
	memory.TypedSpec().Manufacturer = "Micron"

	device := hardware.NewPCIDeviceInfo("0000:17:00.0")
	device.TypedSpec().ClassID = "0x02"
	device.TypedSpec().VendorID = "0x15b3"
	device.TypedSpec().Driver = "mlx5_core"

	status := runtime.NewMachineStatus()
	status.TypedSpec().Stage = runtime.MachineStageRunning
	status.TypedSpec().Status.UnmetConditions = []runtime.UnmetCondition{{Name: "nodeReady", Reason: "not ready"}}

	running, err := configloader.NewFromBytes([]byte(configuration))
	if err != nil {
		fail(err)
	}

	kind := config.NewMachineType()
	kind.SetMachineType(machine.TypeControlPlane)

	info := cluster.NewInfo()
	info.TypedSpec().ClusterID = "id-1"
	info.TypedSpec().ClusterName = "kn"

	for _, one := range []resource.Resource{
		disk, volume, system, processor, memory, device, status, config.NewMachineConfig(running), kind, info,
	} {
		if err := made.Create(context.Background(), one); err != nil {
			fail(err)
		}
	}

	return made
}
