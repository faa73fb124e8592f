"""The store on a Milvus server or cluster: any number of readers, one writer at a time, nothing on local disk.

    <prefix>_state                      which index is current, and who is writing
    <prefix>_<name>_notes               an index's settings, what was published last, what could not be read
    <prefix>_<name>_documents, _pieces  records of documents; their texts in pieces
    <prefix>_<name>_articles, _passages, _units
                                        words of articles; passages with their words; vectors of their units
    <prefix>_<name>_terms               in how many passages each token stands

A row is written once and never changed, save for the records of documents. Each carries the generation that it comes
with, and readers of a generation ask for no later one, so that what is being written is not seen. The record of a
document is written after all that belongs to it; what a writer left without one is removed by the next. A document that
goes is marked with the generation at which it went, hidden from readers of that, and deleted by the sync after.

pymilvus is imported when an index is opened, not before.
"""
