/** An execution provider as the runtime wants it named: those of NVIDIA's with the device they shall use. PURE. */
export function providerOption(
  name: string,
  deviceId: number,
): string | { readonly name: string; readonly deviceId: number } {
  return name === 'cuda' || name === 'tensorrt' ? { name, deviceId } : name;
}
