/** Probes the source of a job, with the container that the job asks for. */
import type { JobRequest } from '../../shared/contract/job.ts';
import { probeVideo } from '../../shared/media/probe.ts';
import type { VideoInfo } from '../../shared/media/video-info.ts';

export async function probeSource(
  sourcePath: string,
  { container }: Pick<JobRequest, 'container'>,
): Promise<VideoInfo> {
  const video = await probeVideo(sourcePath);
  return container === undefined ? video : { ...video, container };
}
