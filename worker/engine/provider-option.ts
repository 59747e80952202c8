/** An execution provider as the runtime expects it: NVIDIA's providers with the device to use. PURE. */
export function providerOption(
  name: string,
  deviceId: number,
): string | { readonly name: string; readonly deviceId: number } {
  return name === 'cuda' || name === 'tensorrt' ? { name, deviceId } : name;
}
