/** The title of the browser's tab: what the view shows. */
import { useEffect } from 'preact/hooks';

export function useTitle(name: string): void {
  useEffect(() => {
    document.title = `${name} – framefleet`;
  }, [name]);
}
