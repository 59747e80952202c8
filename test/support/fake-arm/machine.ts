/** A machine of a scale set, and its representation in answers. */
export interface FakeMachine {
  readonly instanceId: string;
  readonly vmId: string;
  readonly createdAtMs: number;
  /** Null: it never boots. */
  readonly bootedAtMs: number | null;
  state: 'Creating' | 'Succeeded' | 'Failed' | 'Deleting';
  power: 'starting' | 'running' | 'stopped' | 'deallocated' | null;
}

export interface MachineBodyOptions {
  readonly scaleSetId: string;
  readonly location: string;
  readonly withInstanceView: boolean;
}

export function machineBody(
  { instanceId, vmId, createdAtMs, state, power }: FakeMachine,
  { scaleSetId, location, withInstanceView }: MachineBodyOptions,
) {
  const statuses = [
    { code: `ProvisioningState/${state.toLowerCase()}`, level: 'Info', displayStatus: state },
    ...(power === null ? [] : [{ code: `PowerState/${power}`, level: 'Info', displayStatus: `VM ${power}` }]),
  ];
  return {
    id: `${scaleSetId}/virtualMachines/${instanceId}`,
    name: `${scaleSetId.split('/').at(-1) ?? ''}_${instanceId}`,
    type: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines',
    location,
    instanceId,
    properties: {
      latestModelApplied: true,
      vmId,
      provisioningState: state,
      timeCreated: new Date(createdAtMs).toISOString(),
      ...(withInstanceView ? { instanceView: { statuses } } : {}),
    },
  };
}
