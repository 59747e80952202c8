/** A machine of a scale set, and how Azure tells of it. */
export interface Machine {
  readonly instanceId: string;
  readonly vmId: string;
  readonly createdAtMs: number;
  /** Null: it never will be. */
  readonly bootedAtMs: number | null;
  state: 'Creating' | 'Succeeded' | 'Failed' | 'Deleting';
  power: 'starting' | 'running' | 'stopped' | 'deallocated' | null;
}

export function machineBody(
  { instanceId, vmId, createdAtMs, state, power }: Machine,
  {
    scaleSetId,
    location,
    withInstanceView,
  }: { readonly scaleSetId: string; readonly location: string; readonly withInstanceView: boolean },
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
