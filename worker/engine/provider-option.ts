/** How the runtime gets its options for an execution provider. PURE. */

/** An execution provider as the runtime expects it: NVIDIA's providers with the device to use. */
export function providerOption(
  name: string,
  deviceId: number,
): string | { readonly name: string; readonly deviceId: number } {
  return name === 'cuda' || name === 'tensorrt' ? { name, deviceId } : name;
}

/**
 * Entries of a session's configuration that keep TensorRT's engines in a folder.
 *
 * The binding for Node passes on no other option of this provider than the device, and then the runtime reads no environment variable
 * (microsoft/onnxruntime, issues 18380 and 26854). Under these names, `ep.<provider>.<option>`, the runtime itself keeps a provider's options.
 */
export function engineCacheEntries(folder: string, deviceId: number): Readonly<Record<string, unknown>> {
  const options = {
    device_id: String(deviceId),
    trt_engine_cache_enable: '1',
    trt_engine_cache_path: folder,
  };
  return { ep: { tensorrtexecutionprovider: options } };
}
