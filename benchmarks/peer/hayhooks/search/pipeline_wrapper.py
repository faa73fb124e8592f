"""What Hayhooks serves: the peer's pipeline over the index in the folder of PEER_INDEX."""

import os
from pathlib import Path

from hayhooks import BasePipelineWrapper
from peer.haystack import Adapter


class PipelineWrapper(BasePipelineWrapper):
    """`POST /search/run` with a question gives the passages' texts."""

    def setup(self) -> None:
        self.peer = Adapter()
        self.peer.open(Path(os.environ["PEER_INDEX"]))
        self.pipeline = self.peer.pipeline

    def run_api(self, question: str) -> list[str]:
        """The five best passages for a question."""
        return [hit.text for hit in self.peer.search(question, 5).hits]
