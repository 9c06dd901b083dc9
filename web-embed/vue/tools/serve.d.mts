export function serve(dir: string, behind?: string): Promise<{ url: string; cut(): void; close(): void }>
