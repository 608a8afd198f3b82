import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const gateway = process.env.USHER_GATEWAY ?? 'http://127.0.0.1:8000';

/** Lays a `.gz` beside each asset, which the gateway sends to whoever takes it: a third of the bytes. */
function gzipped(): Plugin {
  return {
    name: 'gzipped',
    apply: 'build',
    async writeBundle({ dir }) {
      const assets = join(dir ?? 'dist', 'assets');
      for (const name of await readdir(assets)) {
        if (!/\.(js|css)$/.test(name)) continue;
        await writeFile(join(assets, `${name}.gz`), gzipSync(await readFile(join(assets, name)), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), gzipped()],
  build: { target: 'es2022', assetsInlineLimit: 0 },
  server: {
    proxy: {
      '/api': gateway,
      // The pages under /tickets are of this app; only a ticket's place in line is not.
      '^/tickets/(queue/|[^/]+/queue)': gateway,
      '/ws': { target: gateway, ws: true },
    },
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
