from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cluster.hosts import Cluster, cluster_of


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster_of(tmp_path, tls=False) as opened:
        yield opened
